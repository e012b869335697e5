import { setTimeout as wait } from "node:timers/promises";
import { isLongshoreError } from "@longshore/core/errors";

/** How often a fetch that failed is tried again, and how long to wait before. */
export interface RetryPolicy {
  /** Further attempts, counted anew whenever something arrives. @default 4 */
  readonly retries?: number | undefined;
  /** Milliseconds before the first of them; each next wait is twice as long. @default 200 */
  readonly backoffMs?: number | undefined;
  /** Milliseconds a wait has at most. @default 5_000 */
  readonly maxBackoffMs?: number | undefined;
}

/**
 * Waits before another attempt; rejects with the error when there is none left or when trying again cannot help.
 *
 * @param failures attempts that failed so far, 1 or more
 */
export async function backOff(
  error: unknown,
  failures: number,
  options: RetryPolicy & { readonly signal: AbortSignal },
): Promise<void> {
  const { retries = 4, backoffMs = 200, maxBackoffMs = 5_000, signal } = options;
  signal.throwIfAborted();
  const known = isLongshoreError(error) ? error : undefined;
  if (failures > retries || known?.retryable === false) throw error;
  // A random part keeps readers that failed together from coming back together.
  const exponential = backoffMs * 2 ** (failures - 1) * (0.75 + Math.random() / 2);
  const delayMs = Math.min(maxBackoffMs, Math.max(exponential, known?.retryAfterMs ?? 0));
  try {
    await wait(delayMs, undefined, { signal });
  } catch {
    // Only an abort ends the wait early, and its own reason says more.
    signal.throwIfAborted();
  }
}
