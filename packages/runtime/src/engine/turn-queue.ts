/** Lets tasks run one after the other, in the order in which they came. */
export interface TurnQueue {
  /** An abort ends the wait for the turn; a task that has begun looks at the signal itself. */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export function turnQueue(): TurnQueue {
  let tail: Promise<unknown> = Promise.resolve();
  return {
    async run(task, signal) {
      const before = tail;
      const mine = Promise.withResolvers<void>();
      tail = mine.promise;
      try {
        await abortable(before, signal);
      } catch (error) {
        void before.then(() => mine.resolve());
        throw error;
      }
      try {
        return await task();
      } finally {
        mine.resolve();
      }
    },
  };
}

/** Waits for work that goes on whatever happens to the waiting. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  const stop = Promise.withResolvers<never>();
  const onAbort = (): void => stop.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, stop.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * Waits for work that looks at the signal itself and undoes what it did. After an abort it is waited for a while, so that
 * nothing is left when the caller hears of it; work that hangs nevertheless is left to itself.
 */
export async function untilUndone<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  patienceMs = 10_000,
): Promise<T> {
  if (signal === undefined) return work;
  try {
    return await abortable(work, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    await within(work.then(noop, noop), patienceMs);
    throw signal.reason;
  }
}

/** Whether work ended within a time. */
export async function within(work: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const timer = Promise.withResolvers<false>();
  const handle = setTimeout(() => timer.resolve(false), Math.min(timeoutMs, 2 ** 31 - 1));
  try {
    return await Promise.race([work.then(() => true), timer.promise]);
  } finally {
    clearTimeout(handle);
  }
}

/** Aborts when any of the signals does. */
export function anySignal(...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
  return AbortSignal.any(signals.filter((signal) => signal !== undefined));
}

const noop = (): void => {};
