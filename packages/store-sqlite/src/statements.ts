import type { DatabaseSync, StatementSync } from "node:sqlite";
import { jobRowSelect } from "./job-row.ts";

/** Every statement of the store, compiled once. */
export interface Statements {
  readonly insertJob: StatementSync;
  readonly insertDocument: StatementSync;
  readonly insertResult: StatementSync;
  readonly replaceJob: StatementSync;
  readonly deleteResult: StatementSync;
  readonly deleteDocument: StatementSync;
  readonly getJob: StatementSync;
  readonly getFence: StatementSync;
  readonly locate: StatementSync;
  readonly step: StatementSync;
  readonly patch: StatementSync;
  readonly finish: StatementSync;
  readonly saveCheckpoint: StatementSync;
  readonly renewLeases: StatementSync;
  readonly takeOver: StatementSync;
  readonly takenOver: StatementSync;
  readonly takeOverJob: StatementSync;
  readonly takenOverJob: StatementSync;
  readonly countByState: StatementSync;
  readonly pruneJobs: StatementSync;
  readonly rememberJob: StatementSync;
  readonly forgetJobs: StatementSync;
  readonly wasPruned: StatementSync;
  readonly getKey: StatementSync;
  readonly putKey: StatementSync;
  readonly expireKey: StatementSync;
  readonly deleteKey: StatementSync;
  readonly pruneKeys: StatementSync;
  readonly insertEvent: StatementSync;
  readonly raiseSequence: StatementSync;
  readonly readEvents: StatementSync;
  readonly trimEvents: StatementSync;
  readonly deleteEvents: StatementSync;
}

const isUnfinished = "finished_at IS NULL";
const isFenced = "seq = ? AND job_id = ? AND owner = ? AND attempt = ?";
const takeOver = "UPDATE jobs SET owner = :owner, lease_expires_at = :leaseExpiresAt";

export function prepareStatements(database: DatabaseSync): Statements {
  const sql = (text: string): StatementSync => database.prepare(text);
  return {
    insertJob: sql(`
      INSERT INTO jobs (state, finished_at, job_id, attempt, owner, lease_expires_at, accepted_at, operation, namespace,
        source_transport, source_name, document_digest, idempotency_scope, submitted_by, next_sequence)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
      ON CONFLICT (job_id) DO NOTHING`),
    insertDocument: sql("INSERT OR REPLACE INTO documents (seq, document) VALUES (?, ?)"),
    insertResult: sql("INSERT OR REPLACE INTO results (seq, result) VALUES (?, ?)"),
    replaceJob: sql(`
      UPDATE jobs SET state = ?, finished_at = ?, attempt = ?, owner = ?, lease_expires_at = ?, accepted_at = ?,
        source_transport = ?, source_name = ?, history = ?, started_at = NULL, not_before = NULL
      WHERE seq = ?`),
    deleteResult: sql("DELETE FROM results WHERE seq = ?"),
    deleteDocument: sql("DELETE FROM documents WHERE seq = ?"),
    getJob: sql(`${jobRowSelect} WHERE job_id = ?`),
    getFence: sql("SELECT state, owner, attempt FROM jobs WHERE job_id = ?"),
    locate: sql("SELECT seq, idempotency_scope AS scope FROM jobs WHERE job_id = ?"),
    step: sql(`
      UPDATE jobs SET state = ?, started_at = coalesce(?, started_at), next_sequence = max(next_sequence, coalesce(?, 0))
      WHERE ${isFenced} AND state = ?`),
    patch: sql(`
      UPDATE jobs SET state = ?, owner = coalesce(?, owner), attempt = coalesce(?, attempt),
        lease_expires_at = coalesce(?, lease_expires_at), started_at = coalesce(?, started_at),
        not_before = coalesce(?, not_before), history = coalesce(?, history),
        next_sequence = max(next_sequence, coalesce(?, 0))
      WHERE ${isFenced} AND state = ?`),
    finish: sql(`
      UPDATE jobs SET state = ?, finished_at = ?, next_sequence = max(next_sequence, coalesce(?, 0))
      WHERE ${isFenced} AND state = ?`),
    saveCheckpoint: sql(`UPDATE jobs SET checkpoint = ? WHERE ${isFenced}`),
    renewLeases: sql(`UPDATE jobs SET lease_expires_at = ? WHERE owner = ? AND ${isUnfinished}`),
    takeOver: sql(`
      ${takeOver} WHERE ${isUnfinished}
        AND (owner = :owner OR (lease_expires_at <= :now AND source_transport IS NULL))`),
    takenOver: sql(`${jobRowSelect} WHERE ${isUnfinished} AND owner = :owner ORDER BY jobs.seq`),
    takeOverJob: sql(`
      ${takeOver} WHERE ${isUnfinished} AND job_id = :jobId AND (owner = :owner OR lease_expires_at <= :now)`),
    takenOverJob: sql(
      `${jobRowSelect} WHERE ${isUnfinished} AND job_id = :jobId AND owner = :owner`,
    ),
    // Two parts, each of which an index answers: finished jobs are many, and their rows need not be read.
    countByState: sql(`
      SELECT state, count(*) AS count FROM jobs WHERE ${isUnfinished} GROUP BY state
      UNION ALL
      SELECT state, count(*) AS count FROM jobs INDEXED BY jobs_finished WHERE finished_at IS NOT NULL GROUP BY state`),
    pruneJobs: sql(`
      DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE finished_at < ? LIMIT ?) RETURNING seq, job_id`),
    rememberJob: sql("INSERT OR REPLACE INTO pruned (job_id) VALUES (?)"),
    forgetJobs: sql("DELETE FROM pruned WHERE id <= (SELECT max(id) FROM pruned) - ?"),
    wasPruned: sql("SELECT 1 FROM pruned WHERE job_id = ?"),
    getKey: sql(`
      SELECT idempotency.job_id, payload_digest, expires_at, state, result
      FROM idempotency JOIN jobs ON jobs.job_id = idempotency.job_id LEFT JOIN results USING (seq)
      WHERE scope = ?`),
    putKey: sql(
      "INSERT OR REPLACE INTO idempotency (scope, job_id, payload_digest, expires_at) VALUES (?, ?, ?, NULL)",
    ),
    expireKey: sql("UPDATE idempotency SET expires_at = ? WHERE scope = ? AND job_id = ?"),
    deleteKey: sql("DELETE FROM idempotency WHERE scope = ? AND job_id = ?"),
    pruneKeys: sql("DELETE FROM idempotency WHERE expires_at <= ?"),
    insertEvent: sql(
      "INSERT OR IGNORE INTO events (seq, sequence, event) SELECT seq, ?, ? FROM jobs WHERE job_id = ?",
    ),
    raiseSequence: sql("UPDATE jobs SET next_sequence = ? WHERE job_id = ? AND next_sequence < ?"),
    readEvents: sql(`
      SELECT event FROM events JOIN jobs USING (seq)
      WHERE job_id = ? AND sequence > ? ORDER BY sequence LIMIT ?`),
    trimEvents: sql(`
      DELETE FROM events WHERE seq = (SELECT seq FROM jobs WHERE job_id = ?) AND sequence <= ?`),
    deleteEvents: sql("DELETE FROM events WHERE seq = ?"),
  };
}
