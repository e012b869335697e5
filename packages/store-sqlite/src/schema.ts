import type { DatabaseSync } from "node:sqlite";

/** Each entry brings the database from the version of its place to the next one. Never change one that was released. */
const migrations: readonly string[] = [
  `
  -- What changes while a job lives; rows stay small, because each step rewrites one.
  CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    owner TEXT NOT NULL,
    lease_expires_at INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    not_before INTEGER,
    next_sequence INTEGER NOT NULL,
    operation TEXT NOT NULL,
    namespace TEXT NOT NULL,
    source_transport TEXT,
    source_name TEXT,
    document_digest TEXT,
    idempotency_scope TEXT,
    history TEXT,
    checkpoint TEXT
  ) STRICT;
  -- Neither index has a column that a step changes, but for the last one: a step writes the row and nothing else.
  CREATE INDEX jobs_unfinished ON jobs (seq) WHERE finished_at IS NULL;
  CREATE INDEX jobs_finished ON jobs (finished_at, state) WHERE finished_at IS NOT NULL;

  -- What is written once.
  CREATE TABLE documents (seq INTEGER PRIMARY KEY, document TEXT NOT NULL) STRICT;
  CREATE TABLE results (seq INTEGER PRIMARY KEY, result TEXT NOT NULL) STRICT;

  CREATE TABLE idempotency (
    scope TEXT PRIMARY KEY,
    job_id TEXT NOT NULL,
    payload_digest TEXT NOT NULL,
    expires_at INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX idempotency_expiry ON idempotency (expires_at) WHERE expires_at IS NOT NULL;
  `,
  `
  -- What happened to the jobs, of stores that keep it.
  CREATE TABLE events (
    seq INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (seq, sequence)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  ALTER TABLE jobs ADD COLUMN submitted_by TEXT;

  -- Jobs that were there: the last of them, in the order in which they went.
  CREATE TABLE pruned (id INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL UNIQUE) STRICT;
  `,
];

/** The schema this release writes. */
export const schemaVersion: number = migrations.length;

/**
 * Brings the database to the newest schema, and returns the version it had. A database of a newer release is left as it
 * is.
 */
export function migrate(database: DatabaseSync): number {
  // A file that needs no change is opened also while another process writes.
  const current = versionOf(database);
  if (current >= schemaVersion) return current;
  // The lock comes first: two processes may open a new file at the same time.
  database.exec("BEGIN IMMEDIATE");
  try {
    const version = versionOf(database);
    if (version < schemaVersion) {
      for (const migration of migrations.slice(version)) database.exec(migration);
      database.exec(`PRAGMA user_version = ${schemaVersion}`);
    }
    database.exec("COMMIT");
    return version;
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

function versionOf(database: DatabaseSync): number {
  const row = database.prepare("PRAGMA user_version").get();
  return Number(row?.["user_version"] ?? 0);
}
