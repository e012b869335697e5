/** Waits between tries: each up to twice as long as the one before, up to a cap, and half of each left to chance. */
export interface Backoff {
  /**
   * How long to wait before the next try, in milliseconds.
   *
   * @param atLeastMs what the other side asked for, e.g. by `Retry-After`; counts up to five minutes
   */
  next(atLeastMs?: number): number;
  /** Begins anew, after a success. */
  reset(): void;
}

export interface BackoffOptions {
  /** Longest first wait, in milliseconds */
  readonly firstMs: number;
  /** Longest wait of all, but for one that is asked for */
  readonly capMs: number;
  /** A number in [0, 1). @default Math.random */
  readonly random?: (() => number) | undefined;
}

/** A master may ask for so much, in milliseconds, and not for ever */
const longestAskedMs = 300_000;

export function backoff({ firstMs, capMs, random = Math.random }: BackoffOptions): Backoff {
  let limitMs = firstMs;
  return {
    next(atLeastMs = 0) {
      const waitMs = Math.round(limitMs * (0.5 + random() / 2));
      limitMs = Math.min(2 * limitMs, capMs);
      return Math.max(waitMs, Math.min(atLeastMs, longestAskedMs));
    },
    reset() {
      limitMs = firstMs;
    },
  };
}
