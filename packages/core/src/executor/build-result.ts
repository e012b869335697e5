import type { JobError } from "../errors/job-error.ts";
import { isoTime } from "../iso-time.ts";
import type { AttemptRecord, JobOutcome, JobResult } from "../job/job-result.ts";
import type { TerminalJobState } from "../job/job-state.ts";
import type { ActiveJob } from "./active-job.ts";

/** How an attempt, or a job that never started, ended. */
export interface JobEnd {
  readonly status: TerminalJobState;
  readonly error?: JobError | undefined;
  readonly outcome?: JobOutcome | undefined;
}

export interface ResultContext {
  readonly workerId: string;
  readonly workerVersion: string;
  readonly finishedAtMs: number;
}

/** The result document of a job that ends now. */
export function buildResult(job: ActiveJob, end: JobEnd, context: ResultContext): JobResult {
  const { document } = job;
  const { finishedAtMs, workerId, workerVersion } = context;
  const startedAt = job.startedAtMs === undefined ? undefined : isoTime(job.startedAtMs);
  const durationMs = job.startedAtMs === undefined ? 0 : finishedAtMs - job.startedAtMs;
  const { idempotencyKey, maxAttempts } = document.execution;
  return {
    version: "1.0",
    jobId: job.jobId,
    operation: document.operation,
    status: end.status,
    workerId,
    createdAt: document.createdAt,
    ...(startedAt !== undefined && { startedAt }),
    finishedAt: isoTime(finishedAtMs),
    executionSummary: {
      ...(startedAt !== undefined && { startedAt }),
      durationSeconds: durationMs / 1_000,
      durationMs,
      queueWaitMs: Math.max(0, (job.startedAtMs ?? finishedAtMs) - job.queuedAtMs),
      attempt: job.attempt,
      maxAttempts,
      ...(idempotencyKey !== undefined && { idempotencyKey }),
      workerVersion,
    },
    ...end.outcome,
    ...(end.error !== undefined && { error: end.error }),
    history: withAttempt(job, end, context),
    ...(document.observability !== undefined && { observability: document.observability }),
  };
}

/** The job's history with the attempt that ends now; unchanged when it never started. */
export function withAttempt(
  job: ActiveJob,
  end: { readonly status: AttemptRecord["status"]; readonly error?: JobError | undefined },
  context: Pick<ResultContext, "workerId" | "finishedAtMs">,
): readonly AttemptRecord[] {
  if (job.startedAtMs === undefined) return job.history;
  const record: AttemptRecord = {
    attempt: job.attempt,
    workerId: context.workerId,
    startedAt: isoTime(job.startedAtMs),
    finishedAt: isoTime(context.finishedAtMs),
    status: end.status,
    ...(end.error !== undefined && { error: end.error }),
  };
  return [...job.history, record];
}
