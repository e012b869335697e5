import type { AttemptRecord, JobDocument, JobRecord, JobResult, JobState } from "@longshore/core";

/** A row of the `jobs` table with its document and result, as SQLite gives it. */
export interface JobRow {
  readonly seq: number;
  readonly job_id: string;
  readonly state: JobState;
  readonly attempt: number;
  readonly owner: string;
  readonly lease_expires_at: number;
  readonly accepted_at: number;
  readonly started_at: number | null;
  readonly finished_at: number | null;
  readonly not_before: number | null;
  readonly next_sequence: number;
  readonly source_transport: string | null;
  readonly source_name: string | null;
  readonly document_digest: string | null;
  readonly submitted_by: string | null;
  readonly history: string | null;
  readonly checkpoint: string | null;
  readonly document: string;
  readonly result: string | null;
}

/** The columns of {@link JobRow}, for a query over `jobs`. */
export const jobRowSelect = `
  SELECT jobs.seq, job_id, state, attempt, owner, lease_expires_at, accepted_at, started_at, finished_at, not_before,
    next_sequence, source_transport, source_name, document_digest, submitted_by, history, checkpoint, document, result
  FROM jobs JOIN documents USING (seq) LEFT JOIN results USING (seq)`;

/** The record that a row stands for. The texts were written by this package. */
export function toRecord(row: JobRow): JobRecord {
  const result = row.result === null ? undefined : (JSON.parse(row.result) as JobResult);
  return {
    jobId: row.job_id,
    state: row.state,
    document: JSON.parse(row.document) as JobDocument,
    attempt: row.attempt,
    owner: row.owner,
    leaseExpiresAtMs: row.lease_expires_at,
    acceptedAtMs: row.accepted_at,
    startedAtMs: row.started_at ?? undefined,
    finishedAtMs: row.finished_at ?? undefined,
    notBeforeMs: row.not_before ?? undefined,
    source:
      row.source_transport === null || row.source_name === null
        ? undefined
        : { transport: row.source_transport, name: row.source_name },
    documentDigest: row.document_digest ?? undefined,
    submittedBy: row.submitted_by ?? undefined,
    history: result?.history ?? toHistory(row.history),
    nextSequence: row.next_sequence,
    checkpoint: row.checkpoint === null ? undefined : (JSON.parse(row.checkpoint) as unknown),
    result,
  };
}

function toHistory(text: string | null): readonly AttemptRecord[] {
  return text === null ? [] : (JSON.parse(text) as readonly AttemptRecord[]);
}
