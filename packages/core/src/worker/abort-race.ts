/** The promise's outcome, or a rejection with `signal.reason` when that comes first. */
export async function raceAbort<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return promise;
  signal.throwIfAborted();
  const { promise: abortion, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    reject(signal.reason);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, abortion]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
