import type { DatabaseSync } from "node:sqlite";
import { LongshoreError } from "@longshore/core/errors";

/** Each entry brings the database from the version of its place to the next one. Never change one that was released. */
const migrations: readonly string[] = [
  `
  CREATE TABLE images (
    image_id TEXT PRIMARY KEY,
    bootstrap_id TEXT NOT NULL,
    manifest_digest TEXT NOT NULL,
    manifest TEXT NOT NULL,
    config TEXT NOT NULL,
    -- Bytes of all its files
    logical_size INTEGER NOT NULL,
    inode_count INTEGER NOT NULL,
    pinned INTEGER NOT NULL DEFAULT 0,
    pulled_at INTEGER NOT NULL,
    -- Where it came from, to fetch again what is broken
    origin TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- What an image is called: full names with a tag or a digest.
  CREATE TABLE names (
    name TEXT PRIMARY KEY,
    image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX names_of_image ON names (image_id);

  -- Every file in blobs/sha256: data and bootstraps.
  CREATE TABLE blobs (
    blob_no INTEGER PRIMARY KEY,
    blob_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('data', 'bootstrap', 'remote')),
    -- Bytes of chunks, without what follows them
    data_size INTEGER NOT NULL,
    stored_size INTEGER NOT NULL,
    -- What an image's blob table says of it, JSON; absent for bootstraps
    info TEXT
  ) STRICT;

  -- What a bootstrap needs.
  CREATE TABLE bootstrap_blobs (
    bootstrap_no INTEGER NOT NULL REFERENCES blobs ON DELETE CASCADE,
    blob_no INTEGER NOT NULL REFERENCES blobs,
    PRIMARY KEY (bootstrap_no, blob_no)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX bootstraps_of_blob ON bootstrap_blobs (blob_no);

  -- Where the bytes of a digest lie.
  CREATE TABLE chunks (
    digest BLOB PRIMARY KEY,
    blob_no INTEGER NOT NULL REFERENCES blobs ON DELETE CASCADE,
    chunk_index INTEGER NOT NULL,
    chunk_offset INTEGER NOT NULL,
    chunk_size INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX chunks_of_blob ON chunks (blob_no);

  -- Who holds a root filesystem. The image's data stays while there is one, even without a name.
  CREATE TABLE owners (
    owner TEXT PRIMARY KEY,
    image_id TEXT NOT NULL REFERENCES images,
    -- The metadata it uses; a repair may give the image another one
    bootstrap_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    readonly INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX owners_of_image ON owners (image_id);

  -- Processes that add images, or the one that deletes files: never both at the same time, while they live.
  CREATE TABLE leases (
    lease_no INTEGER PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('add', 'delete')),
    pid INTEGER NOT NULL,
    process_started TEXT NOT NULL,
    purpose TEXT NOT NULL
  ) STRICT;
  `,
];

/**
 * Brings the database to the newest schema.
 *
 * @throws {LongshoreError} `CONFIG_ERROR` for a database of a newer release
 */
export function migrate(database: DatabaseSync, path: string): void {
  // The lock comes first: two processes may open a new file at the same time.
  database.exec("BEGIN IMMEDIATE");
  try {
    const row = database.prepare("PRAGMA user_version").get();
    const version = Number(row?.["user_version"] ?? 0);
    if (version > migrations.length) {
      throw new LongshoreError(
        "CONFIG_ERROR",
        `The image store ${path} has schema version ${version}; this release knows ${migrations.length}. Use a newer release, or another directory.`,
        { details: { path, version, supported: migrations.length } },
      );
    }
    for (const migration of migrations.slice(version)) database.exec(migration);
    database.exec(`PRAGMA user_version = ${migrations.length}`);
    database.exec("COMMIT");
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}
