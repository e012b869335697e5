import type { JobResult, JobState } from "@longshore/core";
import type { JobLocations } from "./job-locations.ts";
import type { JobRow } from "./job-row.ts";
import type { InsertFinding, InsertOperation, KeyOfInsert } from "./operation.ts";
import type { Statements } from "./statements.ts";

interface KeyRow {
  readonly job_id: string;
  readonly payload_digest: string;
  readonly expires_at: number | null;
  readonly state: JobState;
  readonly result: string | null;
}

/** The tables, and where the jobs under way are in them. */
export interface JobTables {
  readonly statements: Statements;
  readonly locations: JobLocations;
}

/**
 * Stores a job and reserves its idempotency key; part of a transaction. `undefined` when it was a new job and is
 * queued now; a finding that is a refusal has written nothing.
 */
export function insertJob(
  { statements, locations }: JobTables,
  job: InsertOperation,
): InsertFinding | undefined {
  const [, jobId, attempt, owner, leaseExpiresAtMs, acceptedAtMs, operation, namespace] = job;
  const [, , , , , , , , transport, sourceName, digest, document, key, submittedBy] = job;
  const earlier = key === null ? undefined : liveKey(statements, jobId, key);
  if (earlier !== undefined && (earlier.payload_digest !== key?.[1] || earlier.result === null)) {
    return refusal(earlier);
  }
  const result =
    key === null || earlier === undefined ? undefined : copyResult(earlier, jobId, key);
  const state: JobState = result === undefined ? "queued" : "completed";
  const finishedAtMs = result === undefined ? null : acceptedAtMs;
  const { changes, lastInsertRowid } = statements.insertJob.run(
    state,
    finishedAtMs,
    jobId,
    attempt,
    owner,
    leaseExpiresAtMs,
    acceptedAtMs,
    operation,
    namespace,
    transport,
    sourceName,
    digest,
    key?.[0] ?? null,
    submittedBy,
  );
  let seq = Number(lastInsertRowid);
  const isKnown = Number(changes) === 0;
  if (isKnown) {
    const row = statements.getJob.get(jobId) as JobRow | undefined;
    if (row === undefined || !isRedelivery(row, job)) return { kind: "exists" };
    if (row.state !== "abandoned") return { kind: "redelivered", row };
    seq = row.seq;
    statements.deleteResult.run(seq);
    statements.replaceJob.run(
      state,
      finishedAtMs,
      attempt,
      owner,
      leaseExpiresAtMs,
      acceptedAtMs,
      transport,
      sourceName,
      historyOf(row),
      seq,
    );
  }
  statements.insertDocument.run(seq, document);
  if (result === undefined) {
    locations.note(jobId, { seq, scope: key?.[0] ?? null });
    if (key !== null) statements.putKey.run(key[0], jobId, key[1]);
  } else {
    statements.insertResult.run(seq, result);
  }
  if (!isKnown && result === undefined) return undefined;
  const row = statements.getJob.get(jobId) as unknown as JobRow;
  return { kind: result === undefined ? "accepted" : "deduplicated", row };
}

/** What another job left for the key, unless it has expired. */
function liveKey(
  statements: Statements,
  jobId: string,
  [scope, , , nowMs]: KeyOfInsert,
): KeyRow | undefined {
  const row = statements.getKey.get(scope) as KeyRow | undefined;
  if (row === undefined || row.job_id === jobId) return undefined;
  return row.expires_at === null || row.expires_at > nowMs ? row : undefined;
}

function refusal(row: KeyRow): InsertFinding {
  return {
    kind: "refused",
    entry: {
      jobId: row.job_id,
      payloadDigest: row.payload_digest,
      expiresAtMs: row.expires_at ?? Infinity,
      state: row.state,
    },
  };
}

/** The earlier result as that of the new job: what `storeRules.copyResult` does, on the JSON texts. */
function copyResult(earlier: KeyRow, jobId: string, [, , createdAt]: KeyOfInsert): string {
  const result = JSON.parse(earlier.result ?? "null") as JobResult;
  const executionSummary = { ...result.executionSummary, deduplicatedFrom: result.jobId };
  return JSON.stringify({ ...result, jobId, createdAt, executionSummary });
}

function isRedelivery(known: JobRow, job: InsertOperation): boolean {
  const [, , , , , , , , transport, , digest] = job;
  return (
    digest !== null &&
    known.document_digest === digest &&
    transport !== null &&
    known.source_transport === transport
  );
}

/** A record that is accepted anew loses its result, but not the story in it. */
function historyOf(row: JobRow): string | null {
  if (row.result === null) return row.history;
  return JSON.stringify((JSON.parse(row.result) as JobResult).history);
}
