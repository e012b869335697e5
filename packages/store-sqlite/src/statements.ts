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
  readonly transition: StatementSync;
  readonly finish: StatementSync;
  readonly saveCheckpoint: StatementSync;
  readonly renewLeases: StatementSync;
  readonly takeOver: StatementSync;
  readonly takenOver: StatementSync;
  readonly countByState: StatementSync;
  readonly pruneJobs: StatementSync;
  readonly getKey: StatementSync;
  readonly putKey: StatementSync;
  readonly expireKey: StatementSync;
  readonly deleteKey: StatementSync;
  readonly pruneKeys: StatementSync;
}

const isUnfinished = "finished_at IS NULL";
const isFenced = "job_id = ? AND state = ? AND owner = ? AND attempt = ?";

export function prepareStatements(database: DatabaseSync): Statements {
  const sql = (text: string): StatementSync => database.prepare(text);
  return {
    insertJob: sql(`
      INSERT INTO jobs (job_id, state, attempt, owner, lease_expires_at, accepted_at, finished_at, next_sequence,
        operation, namespace, source_transport, source_name, document_digest, idempotency_scope)
      VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (job_id) DO NOTHING`),
    insertDocument: sql("INSERT OR REPLACE INTO documents (seq, document) VALUES (?, ?)"),
    insertResult: sql("INSERT OR REPLACE INTO results (seq, result) VALUES (?, ?)"),
    replaceJob: sql(`
      UPDATE jobs SET state = ?, attempt = ?, owner = ?, lease_expires_at = ?, accepted_at = ?, finished_at = ?,
        started_at = NULL, not_before = NULL, source_transport = ?, source_name = ?, history = ?
      WHERE seq = ?`),
    deleteResult: sql("DELETE FROM results WHERE seq = ?"),
    deleteDocument: sql("DELETE FROM documents WHERE seq = ?"),
    getJob: sql(`${jobRowSelect} WHERE job_id = ?`),
    getFence: sql("SELECT state, owner, attempt FROM jobs WHERE job_id = ?"),
    transition: sql(`
      UPDATE jobs SET state = ?, owner = coalesce(?, owner), attempt = coalesce(?, attempt),
        lease_expires_at = coalesce(?, lease_expires_at), started_at = coalesce(?, started_at),
        not_before = coalesce(?, not_before), history = coalesce(?, history),
        next_sequence = coalesce(?, next_sequence)
      WHERE ${isFenced}`),
    finish: sql(`
      UPDATE jobs SET state = ?, finished_at = ?, next_sequence = coalesce(?, next_sequence)
      WHERE ${isFenced} RETURNING seq, idempotency_scope`),
    saveCheckpoint: sql(
      "UPDATE jobs SET checkpoint = ? WHERE job_id = ? AND owner = ? AND attempt = ?",
    ),
    renewLeases: sql(`UPDATE jobs SET lease_expires_at = ? WHERE owner = ? AND ${isUnfinished}`),
    takeOver: sql(`
      UPDATE jobs SET owner = :owner, lease_expires_at = :leaseExpiresAt
      WHERE ${isUnfinished} AND (:jobId IS NULL OR job_id = :jobId)
        AND (owner = :owner OR (lease_expires_at <= :now AND (source_transport IS NULL OR :jobId IS NOT NULL)))`),
    takenOver: sql(`
      ${jobRowSelect} WHERE ${isUnfinished} AND owner = :owner AND (:jobId IS NULL OR job_id = :jobId)
      ORDER BY jobs.seq`),
    countByState: sql("SELECT state, count(*) AS count FROM jobs GROUP BY state"),
    pruneJobs: sql(`
      DELETE FROM jobs WHERE seq IN (SELECT seq FROM jobs WHERE finished_at < ? LIMIT ?) RETURNING seq`),
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
  };
}
