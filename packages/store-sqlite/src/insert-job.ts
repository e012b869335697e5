import {
  LongshoreError,
  storeRules,
  type InsertOutcome,
  type JobRecord,
  type JobResult,
  type JobState,
  type NewJob,
} from "@longshore/core";
import { toRecord, type JobRow } from "./job-row.ts";
import type { Statements } from "./statements.ts";

interface KeyRow {
  readonly job_id: string;
  readonly payload_digest: string;
  readonly expires_at: number | null;
  readonly state: JobState;
  readonly result: string | null;
}

/** Stores a job and reserves its idempotency key; part of a transaction. Throws before the first write only. */
export function insertJob(statements: Statements, job: NewJob, nowMs: number): InsertOutcome {
  const { document } = job;
  const scope = storeRules.idempotencyScope(document);
  const earlierResult =
    scope === undefined ? undefined : earlierSuccess(statements, { job, scope, nowMs });
  const result =
    earlierResult === undefined ? undefined : storeRules.copyResult(earlierResult, job);
  const finishedAtMs = result === undefined ? null : job.acceptedAtMs;
  const state = result === undefined ? "queued" : "completed";
  if (scope !== undefined && result === undefined && job.payloadDigest === undefined) {
    throw new LongshoreError("VALIDATION_ERROR", "A job with a key needs its payloadDigest.");
  }
  const { changes, lastInsertRowid } = statements.insertJob.run(
    document.jobId,
    state,
    attemptOf(job),
    job.owner,
    job.leaseExpiresAtMs,
    job.acceptedAtMs,
    finishedAtMs,
    document.operation,
    document.metadata?.namespace ?? "default",
    job.source?.transport ?? null,
    job.source?.name ?? null,
    job.documentDigest ?? null,
    scope ?? null,
  );
  let seq = Number(lastInsertRowid);
  let earlier: JobRecord | undefined;
  if (Number(changes) === 0) {
    const row = statements.getJob.get(document.jobId) as JobRow | undefined;
    if (row === undefined || !isRedelivery(row, job)) throw storeRules.jobExists(document.jobId);
    earlier = toRecord(row);
    if (row.state !== "abandoned") return { kind: "redelivered", record: earlier };
    seq = row.seq;
    replace(statements, { job, seq, state, finishedAtMs, earlier });
  }
  statements.insertDocument.run(seq, JSON.stringify(document));
  if (result !== undefined) statements.insertResult.run(seq, JSON.stringify(result));
  if (scope !== undefined && result === undefined) {
    statements.putKey.run(scope, document.jobId, job.payloadDigest ?? null);
  }
  const record: JobRecord = {
    jobId: document.jobId,
    state,
    document,
    attempt: attemptOf(job),
    owner: job.owner,
    leaseExpiresAtMs: job.leaseExpiresAtMs,
    acceptedAtMs: job.acceptedAtMs,
    finishedAtMs: finishedAtMs ?? undefined,
    source: job.source,
    documentDigest: job.documentDigest,
    history: result?.history ?? earlier?.history ?? [],
    nextSequence: earlier?.nextSequence ?? 0,
    checkpoint: earlier?.checkpoint,
    result,
  };
  return { kind: result === undefined ? "accepted" : "deduplicated", record };
}

/** The result of a completed job with the same key; throws when the key forbids the job. */
function earlierSuccess(
  statements: Statements,
  { job, scope, nowMs }: { job: NewJob; scope: string; nowMs: number },
): JobResult | undefined {
  const row = statements.getKey.get(scope) as KeyRow | undefined;
  if (row === undefined || (row.expires_at !== null && row.expires_at <= nowMs)) return undefined;
  const isRedeliveredItself = row.job_id === job.document.jobId;
  if (isRedeliveredItself) return undefined;
  storeRules.decideIdempotency(job, {
    jobId: row.job_id,
    payloadDigest: row.payload_digest,
    expiresAtMs: row.expires_at ?? Infinity,
    state: row.state,
  });
  return row.result === null ? undefined : (JSON.parse(row.result) as JobResult);
}

function replace(
  statements: Statements,
  entry: {
    job: NewJob;
    seq: number;
    state: JobState;
    finishedAtMs: number | null;
    earlier: JobRecord;
  },
): void {
  const { job, seq, state, finishedAtMs, earlier } = entry;
  statements.deleteResult.run(seq);
  statements.replaceJob.run(
    state,
    attemptOf(job),
    job.owner,
    job.leaseExpiresAtMs,
    job.acceptedAtMs,
    finishedAtMs,
    job.source?.transport ?? null,
    job.source?.name ?? null,
    JSON.stringify(earlier.history),
    seq,
  );
}

function isRedelivery(known: JobRow, job: NewJob): boolean {
  return (
    known.document_digest !== null &&
    known.document_digest === job.documentDigest &&
    known.source_transport !== null &&
    known.source_transport === job.source?.transport
  );
}

function attemptOf(job: NewJob): number {
  return job.attempt ?? job.document.execution.attempt;
}
