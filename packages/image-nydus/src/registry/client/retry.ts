import type { Abortable } from "@longshore/core";
import { isLongshoreError } from "@longshore/core/errors";
import { delay } from "../abort.ts";

export interface RetryOptions extends Abortable {
  readonly retries: number;
  readonly retryDelayMs: number;
  readonly maxRetryDelayMs: number;
}

/** How long to wait before the try after `failures` ones; undefined: give up. */
export function retryDelay(
  error: unknown,
  failures: number,
  options: RetryOptions,
): number | undefined {
  if (!isLongshoreError(error) || !error.retryable || failures > options.retries) return undefined;
  const { retryAfterMs: askedMs } = error;
  if (askedMs !== undefined) {
    return askedMs > options.maxRetryDelayMs ? undefined : askedMs;
  }
  const longest = Math.min(options.retryDelayMs * 2 ** (failures - 1), options.maxRetryDelayMs);
  // Half of it is random, so that many clients do not come back together.
  return longest * (0.5 + Math.random() / 2);
}

/** Repeats what fails for the moment: errors that are `retryable`. */
export async function withRetries<T>(
  operation: () => Promise<T>,
  options: RetryOptions,
): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await operation();
    } catch (error) {
      const waitMs = retryDelay(error, failures, options);
      if (waitMs === undefined) throw error;
      await delay(waitMs, options.signal);
    }
  }
}

/** A Retry-After header (RFC 9110, 10.2.3) in milliseconds from now. */
export function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
