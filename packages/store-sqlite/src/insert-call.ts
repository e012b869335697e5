import {
  LongshoreError,
  storeRules,
  type InsertOutcome,
  type JobRecord,
  type NewJob,
} from "@longshore/core";
import { toRecord } from "./job-row.ts";
import type { InsertFinding, InsertOperation, KeyOfInsert } from "./operation.ts";

/** @throws {LongshoreError} `VALIDATION_ERROR` for a key without a payload digest */
export function insertOperation(job: NewJob, nowMs: number): InsertOperation {
  const { document, source } = job;
  return [
    "insert",
    document.jobId,
    attemptOf(job),
    job.owner,
    job.leaseExpiresAtMs,
    job.acceptedAtMs,
    document.operation,
    document.metadata?.namespace ?? "default",
    source?.transport ?? null,
    source?.name ?? null,
    job.documentDigest ?? null,
    JSON.stringify(document),
    keyOf(job, nowMs),
    job.submittedBy ?? null,
  ];
}

/**
 * What the caller of an insert is told. The record of a new job is made from what the caller gave; any other one comes
 * from the database.
 *
 * @throws {LongshoreError} `JOB_ID_ALREADY_EXISTS`, `IDEMPOTENCY_IN_PROGRESS`, `IDEMPOTENCY_KEY_REUSED`
 */
export function insertOutcome(job: NewJob, finding: InsertFinding | undefined): InsertOutcome {
  if (finding === undefined) return { kind: "accepted", record: newRecord(job) };
  switch (finding.kind) {
    case "exists":
      throw storeRules.jobExists(job.document.jobId);
    case "refused":
      storeRules.decideIdempotency(job, finding.entry);
      throw new LongshoreError("INTERNAL_ERROR", "A key was refused that the rules allow.");
    case "accepted":
    case "deduplicated":
    case "redelivered":
      return { kind: finding.kind, record: toRecord(finding.row) };
    default:
      return finding satisfies never;
  }
}

function newRecord(job: NewJob): JobRecord {
  const { document } = job;
  return {
    jobId: document.jobId,
    state: "queued",
    document,
    attempt: attemptOf(job),
    owner: job.owner,
    leaseExpiresAtMs: job.leaseExpiresAtMs,
    acceptedAtMs: job.acceptedAtMs,
    source: job.source,
    documentDigest: job.documentDigest,
    submittedBy: job.submittedBy,
    history: [],
    nextSequence: 0,
  };
}

function keyOf({ document, payloadDigest }: NewJob, nowMs: number): KeyOfInsert | null {
  const scope = storeRules.idempotencyScope(document);
  if (scope === undefined) return null;
  if (payloadDigest === undefined) {
    throw new LongshoreError("VALIDATION_ERROR", "A job with a key needs its payloadDigest.");
  }
  return [scope, payloadDigest, document.createdAt, nowMs];
}

function attemptOf(job: NewJob): number {
  return job.attempt ?? job.document.execution.attempt;
}
