import {
  workerVersion,
  type AttemptRecord,
  type JobError,
  type JobResult,
  type TerminalJobState,
} from "@longshore/core";
import { workerIdOf } from "./lease-id.ts";
import type { JobEntry } from "./job-entry.ts";

/** The attempt that a worker had and did not bring to an end. */
export function lostAttempt(
  { attempt, owner, startedAtMs, acceptedAtMs }: JobEntry,
  end: { readonly status: AttemptRecord["status"]; readonly error: JobError },
  nowMs: number,
): AttemptRecord {
  return {
    attempt,
    workerId: workerIdOf(owner),
    startedAt: toTime(startedAtMs ?? acceptedAtMs),
    finishedAt: toTime(nowMs),
    ...end,
  };
}

/** The result of a job that the master itself ends. */
export function endResult(
  entry: JobEntry,
  end: { readonly status: TerminalJobState; readonly error: JobError },
  nowMs: number,
): JobResult {
  const { startedAtMs, waitsSinceMs, attempt } = entry;
  const { operation, createdAt, execution, observability } = entry.placement;
  const { idempotencyKey, maxAttempts } = execution;
  const durationMs = startedAtMs === undefined ? 0 : Math.max(0, nowMs - startedAtMs);
  const started = startedAtMs === undefined ? {} : { startedAt: toTime(startedAtMs) };
  return {
    version: "1.0",
    jobId: entry.jobId,
    operation,
    status: end.status,
    workerId: workerIdOf(entry.owner),
    createdAt,
    ...started,
    finishedAt: toTime(nowMs),
    executionSummary: {
      ...started,
      durationSeconds: durationMs / 1_000,
      durationMs,
      queueWaitMs: Math.max(0, (startedAtMs ?? nowMs) - Math.min(waitsSinceMs, nowMs)),
      attempt,
      maxAttempts,
      ...(idempotencyKey !== undefined && { idempotencyKey }),
      workerVersion,
    },
    error: end.error,
    history:
      entry.lease === undefined
        ? entry.history
        : [...entry.history, lostAttempt(entry, end, nowMs)],
    ...(observability !== undefined && { observability }),
  };
}

function toTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
