/** Longest delay one timer can have: 2^31 - 1 ms, some 24 days. */
const maxTimerMs = 2 ** 31 - 1;

/** A timer without an upper bound. Returns the function that stops it. */
export function setLongTimeout(callback: () => void, delayMs: number): () => void {
  let remainingMs = Math.max(delayMs, 0);
  let handle = arm();

  function arm(): NodeJS.Timeout {
    const stepMs = Math.min(remainingMs, maxTimerMs);
    return setTimeout(() => {
      remainingMs -= stepMs;
      if (remainingMs > 0) handle = arm();
      else callback();
    }, stepMs);
  }

  return () => {
    clearTimeout(handle);
  };
}
