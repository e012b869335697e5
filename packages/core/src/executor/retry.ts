import type { JobError } from "../errors/job-error.ts";
import type { JobExecution, JobRetry } from "../job/job-document.ts";

/**
 * Time to wait before the attempt after `attempt`: `min(maxMs, baseMs * factor^(attempt-1))`, moved by up to `jitter`
 * of itself in either direction.
 *
 * @param random a number in [0, 1)
 */
export function retryDelayMs(retry: JobRetry, attempt: number, random: number): number {
  const delayMs = Math.min(retry.maxMs, retry.baseMs * retry.factor ** (attempt - 1));
  return Math.round(delayMs * (1 + retry.jitter * (2 * random - 1)));
}

/** Whether a failed attempt gets another one. Only codes decide, never words in a message. */
export function isRetried(error: JobError, execution: JobExecution, attempt: number): boolean {
  if (attempt >= execution.maxAttempts) return false;
  const { on } = execution.retry;
  return on === undefined ? error.retryRecommended : on.includes(error.code);
}
