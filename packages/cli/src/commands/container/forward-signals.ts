/** Signals that a container's process may get by way of the command. */
const forwarded = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
export type ForwardedSignal = (typeof forwarded)[number];

/**
 * Hands this process's signals on while a container's process is in front; disposing stops it. Whoever sends a third SIGINT
 * or SIGTERM in a row wants out.
 *
 * @param onGiveUp called then, in place of `send`
 */
export function forwardSignals(
  send: (signal: ForwardedSignal) => void,
  onGiveUp: () => void,
): Disposable {
  let ends = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signal === "SIGINT" || signal === "SIGTERM") ends += 1;
    if (ends >= 3) onGiveUp();
    else send(signal as ForwardedSignal);
  };
  for (const signal of forwarded) process.on(signal, onSignal);
  return {
    [Symbol.dispose]() {
      for (const signal of forwarded) process.off(signal, onSignal);
    },
  };
}
