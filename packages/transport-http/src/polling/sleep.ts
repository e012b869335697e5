/** Waits; ends early when the signal aborts. Never rejects. */
export type Sleep = (timeMs: number, signal: AbortSignal) => Promise<void>;

export const sleep: Sleep = (timeMs, signal) =>
  new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, timeMs);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
  });
