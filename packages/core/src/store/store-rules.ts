import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobDocument } from "../job/job-document.ts";
import type { JobResult } from "../job/job-result.ts";
import { assertTransition, type JobState } from "../job/job-state.ts";
import type { Fence, NewJob } from "./job-store.ts";

/** What a store keeps of an idempotency key. */
export interface IdempotencyEntry {
  readonly jobId: string;
  readonly payloadDigest: string;
  readonly expiresAtMs: number;
}

/** Ids of pruned jobs that a store remembers at least. */
export const rememberedJobs = 100_000;

/** What decides whether a record may change. */
export interface FencedRecord {
  readonly state: JobState;
  readonly owner: string;
  readonly attempt: number;
}

/** Scope of an idempotency key: the same key of another namespace or operation is another key. */
export function idempotencyScope(document: JobDocument): string | undefined {
  const { idempotencyKey } = document.execution;
  if (idempotencyKey === undefined) return undefined;
  const namespace = document.metadata?.namespace ?? "default";
  return JSON.stringify([namespace, document.operation, idempotencyKey]);
}

/** @throws {LongshoreError} `INVALID_STATE_TRANSITION` */
export const assertStep: (from: JobState, to: JobState) => void = assertTransition;

/** @throws {LongshoreError} `NOT_FOUND`, `INVALID_STATE_TRANSITION`, `STATE_CONFLICT` */
export function assertChange(
  actual: FencedRecord | undefined,
  change: { jobId: string; from: JobState; to: JobState; fence: Fence },
): asserts actual is FencedRecord {
  const { jobId, from, to, fence } = change;
  assertTransition(from, to);
  assertFence(actual, jobId, fence);
  if (actual.state === from) return;
  throw new LongshoreError("STATE_CONFLICT", `Job ${jobId} is ${actual.state}, not ${from}.`, {
    details: { expected: from, actual: actual.state },
  });
}

/** @throws {LongshoreError} `NOT_FOUND`, `STATE_CONFLICT` */
export function assertFence(
  actual: FencedRecord | undefined,
  jobId: string,
  fence: Fence,
): asserts actual is FencedRecord {
  if (actual === undefined) {
    throw new LongshoreError("NOT_FOUND", `There is no job ${jobId}.`, { details: { jobId } });
  }
  if (actual.owner === fence.owner && actual.attempt === fence.attempt) return;
  throw new LongshoreError(
    "STATE_CONFLICT",
    `Job ${jobId} belongs to ${actual.owner}, attempt ${actual.attempt}; not to ${fence.owner}, attempt ${fence.attempt}.`,
    { details: { expected: fence, actual: { owner: actual.owner, attempt: actual.attempt } } },
  );
}

/** @throws {LongshoreError} `JOB_ID_ALREADY_EXISTS` */
export function jobExists(jobId: string): LongshoreError {
  return new LongshoreError("JOB_ID_ALREADY_EXISTS", `There is a job ${jobId} already.`, {
    details: { jobId },
  });
}

/** What an insert does about the key's entry; throws when the job may not run. */
export function decideIdempotency(
  job: NewJob,
  entry: IdempotencyEntry & { readonly state: JobState },
): "deduplicate" | "accept" {
  if (entry.payloadDigest !== job.payloadDigest) {
    throw new LongshoreError(
      "IDEMPOTENCY_KEY_REUSED",
      `The idempotency key belongs to job ${entry.jobId}, which has another payload.`,
      { details: { jobId: entry.jobId } },
    );
  }
  if (entry.state === "completed") return "deduplicate";
  throw new LongshoreError(
    "IDEMPOTENCY_IN_PROGRESS",
    `Job ${entry.jobId} with the same idempotency key is ${entry.state}.`,
    { details: { jobId: entry.jobId, state: entry.state } },
  );
}

/** The earlier job's result as that of a later job with the same key. */
export function copyResult(result: JobResult, job: NewJob): JobResult {
  return {
    ...result,
    jobId: job.document.jobId,
    createdAt: job.document.createdAt,
    executionSummary: { ...result.executionSummary, deduplicatedFrom: result.jobId },
  };
}

export function storeClosed(name: string): LongshoreError {
  return new LongshoreError("IO_ERROR", `The ${name} job store is closed.`);
}
