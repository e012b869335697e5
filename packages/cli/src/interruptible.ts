import { LongshoreError } from "@longshore/core";

const signals = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs something that SIGINT and SIGTERM abort, so that it can clean up. A second signal ends the process at once.
 *
 * @throws {LongshoreError} `CANCELLED` when it ends because of a signal
 */
export async function interruptible<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    stopListening();
    controller.abort(new LongshoreError("CANCELLED", `Interrupted by ${name}.`));
  };
  const stopListening = (): void => {
    for (const name of signals) process.off(name, onSignal);
  };
  for (const name of signals) process.on(name, onSignal);
  try {
    return await task(controller.signal);
  } finally {
    stopListening();
  }
}
