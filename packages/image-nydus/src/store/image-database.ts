import { chmodSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { setImmediate } from "node:timers/promises";
import type { Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import type { ImageBlob } from "../rafs/readable-filesystem.ts";
import { sortedPairs } from "../rafs/sorted-pairs.ts";
import { imageLeases, type ImageLeases } from "./image-leases.ts";
import type {
  BlobRecord,
  ChunkPlace,
  ImageRecord,
  NewChunks,
  NewImage,
  OwnerRecord,
} from "./image-records.ts";
import {
  toBlob,
  toImage,
  toOwner,
  type BlobRow,
  type ChunkRow,
  type ImageRow,
  type OwnerRow,
} from "./image-rows.ts";
import { migrate } from "./image-schema.ts";

/** Rows that are written in one transaction, for which nobody else can write */
const chunksAtOnce = 4_096;

/**
 * What the store has: images, their names, blobs and chunks, and who holds what. Every change is one transaction, on the
 * disk when the call returns. Several processes may have it open.
 *
 * Every call throws `LongshoreError` `IO_ERROR` when the database cannot be read or written.
 */
export interface ImageDatabase extends ImageLeases, Disposable {
  findChunk(digest: Buffer): ChunkPlace | undefined;
  /** Adds an image, with its new blobs, or brings it up to date. */
  addImage(added: NewImage): void;
  /** Adds a blob that no image needs yet, unless it is there. */
  addBlob(blob: BlobRecord): void;
  /** Gives an image further names; those that other images have move over. */
  addNames(imageId: string, names: readonly string[]): void;
  imageByName(name: string): ImageRecord | undefined;
  imageById(imageId: string): ImageRecord | undefined;
  /** Images whose id begins so; the id is hex without `sha256:` */
  imagesByPrefix(prefix: string): readonly ImageRecord[];
  images(): readonly ImageRecord[];
  names(imageId: string): readonly string[];
  /** All names with the image of each. */
  allNames(): ReadonlyMap<string, string>;
  removeName(name: string): void;
  removeNames(imageId: string): void;
  setPinned(imageId: string, isPinned: boolean): void;
  blobs(): readonly BlobRecord[];
  blob(blobId: string): BlobRecord | undefined;
  /** What a bootstrap needs. */
  blobsOf(bootstrapId: string): readonly BlobRecord[];
  /** How many of the chunks that are known lie in a blob. */
  chunkCount(): number;
  /** @returns `false` when the owner is there already, or the image is not there with that bootstrap any more */
  addOwner(owner: OwnerRecord): boolean;
  owner(owner: string): OwnerRecord | undefined;
  owners(): readonly OwnerRecord[];
  removeOwner(owner: string): void;
  /** Whether an image, or metadata of it that an owner used, is needed by nobody any more. */
  isUnused(image: Pick<OwnerRecord, "imageId" | "bootstrapId">): boolean;
  /** Forgets where chunks of a blob lie: its file is broken or gone. */
  forgetChunks(blobId: string): void;
  /**
   * Says where chunks of a blob lie, unless they are known from another one. Takes a transaction for each few thousand of
   * them, and lets others work between; what was added when it is aborted stays.
   */
  addChunks(blobId: string, chunks: NewChunks, options?: Abortable): Promise<void>;
}

/**
 * Opens the database of a store, and makes it when it is not there.
 *
 * @throws {LongshoreError} `IO_ERROR` when it cannot be opened, `CONFIG_ERROR` when a newer release wrote it
 */
export function openImageDatabase(path: string): ImageDatabase {
  const database = open(path);
  const statements = new Map<string, StatementSync>();

  function sql(text: string): StatementSync {
    let statement = statements.get(text);
    if (statement === undefined) {
      statement = database.prepare(text);
      statements.set(text, statement);
    }
    return statement;
  }

  /** Reads and writes as one, and tells failures by their own code. */
  function inTransaction<T>(operation: () => T): T {
    try {
      database.exec("BEGIN IMMEDIATE");
      const value = operation();
      database.exec("COMMIT");
      return value;
    } catch (error) {
      if (database.isOpen && database.isTransaction) database.exec("ROLLBACK");
      throw toIoError(error, path);
    }
  }

  function read<T>(operation: () => T): T {
    try {
      return operation();
    } catch (error) {
      throw toIoError(error, path);
    }
  }

  // oxlint-disable-next-line no-unnecessary-type-parameters -- SQLite does not know the shape; its statement does
  function rows<T>(text: string, ...values: (string | number | Buffer)[]): readonly T[] {
    return read(() => sql(text).all(...values) as unknown as readonly T[]);
  }

  // oxlint-disable-next-line no-unnecessary-type-parameters -- SQLite does not know the shape; its statement does
  function row<T>(text: string, ...values: (string | number | Buffer)[]): T | undefined {
    return read(() => sql(text).get(...values) as unknown as T | undefined);
  }

  function blobNo(blobId: string): number {
    const found = sql("SELECT blob_no FROM blobs WHERE blob_id = ?").get(blobId);
    if (found === undefined) throw new Error(`blob ${blobId} is not known`);
    return Number(found["blob_no"]);
  }

  /** Part of a transaction. */
  function insertBlob({ blobId, kind, dataSize, storedSize, info }: BlobRecord): void {
    sql(
      `INSERT OR IGNORE INTO blobs (blob_id, kind, data_size, stored_size, info)
       VALUES (?, ?, ?, ?, ?)`,
    ).run(blobId, kind, dataSize, storedSize, info === undefined ? null : JSON.stringify(info));
  }

  function insertNames(imageId: string, names: readonly string[]): void {
    for (const name of names) {
      sql("INSERT OR REPLACE INTO names VALUES (?, ?)").run(name, imageId);
    }
  }

  return {
    ...imageLeases({ sql, inTransaction, isOpen: () => database.isOpen }),
    findChunk(digest) {
      const found = row<ChunkRow>(
        `SELECT blob_id, chunk_index, chunk_offset, chunk_size
         FROM chunks JOIN blobs USING (blob_no) WHERE digest = ?`,
        digest,
      );
      if (found === undefined) return undefined;
      const { blob_id: blobId, chunk_index: index, chunk_offset: offset, chunk_size: size } = found;
      return { blobId, index, offset, size };
    },
    addImage({ image, names, blobs, blobIds }) {
      inTransaction(() => {
        for (const blob of blobs) insertBlob(blob);
        sql(
          `INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?)
           ON CONFLICT (image_id) DO UPDATE SET
             bootstrap_id = excluded.bootstrap_id,
             manifest_digest = excluded.manifest_digest,
             manifest = excluded.manifest,
             config = excluded.config,
             logical_size = excluded.logical_size,
             inode_count = excluded.inode_count,
             pulled_at = excluded.pulled_at,
             origin = excluded.origin`,
        ).run(
          image.imageId,
          image.bootstrapId,
          image.manifestDigest,
          image.manifest,
          image.config,
          image.logicalSize,
          image.inodeCount,
          image.pulledAtMs,
          image.origin,
        );
        const bootstrapNo = blobNo(image.bootstrapId);
        for (const blobId of blobIds) {
          sql("INSERT OR IGNORE INTO bootstrap_blobs VALUES (?, ?)").run(
            bootstrapNo,
            blobNo(blobId),
          );
        }
        insertNames(image.imageId, names);
      });
    },
    addBlob: (blob) => {
      inTransaction(() => {
        insertBlob(blob);
      });
    },
    addNames(imageId, names) {
      inTransaction(() => {
        insertNames(imageId, names);
      });
    },
    imageByName(name) {
      const found = row<ImageRow>(
        "SELECT images.* FROM names JOIN images USING (image_id) WHERE name = ?",
        name,
      );
      return found && toImage(found);
    },
    imageById(imageId) {
      const found = row<ImageRow>("SELECT * FROM images WHERE image_id = ?", imageId);
      return found && toImage(found);
    },
    imagesByPrefix: (prefix) =>
      rows<ImageRow>(
        "SELECT * FROM images WHERE substr(image_id, 1, ?) = ? LIMIT 10",
        "sha256:".length + prefix.length,
        `sha256:${prefix}`,
      ).map(toImage),
    images: () => rows<ImageRow>("SELECT * FROM images ORDER BY pulled_at, image_id").map(toImage),
    names: (imageId) =>
      rows<{ name: string }>(
        "SELECT name FROM names WHERE image_id = ? ORDER BY name",
        imageId,
      ).map(({ name }) => name),
    allNames: () =>
      new Map(
        rows<{ name: string; image_id: string }>("SELECT * FROM names ORDER BY name").map(
          (found) => [found.name, found.image_id],
        ),
      ),
    removeName: (name) => {
      inTransaction(() => sql("DELETE FROM names WHERE name = ?").run(name));
    },
    removeNames: (imageId) => {
      inTransaction(() => {
        sql("DELETE FROM names WHERE image_id = ?").run(imageId);
        sql("UPDATE images SET pinned = 0 WHERE image_id = ?").run(imageId);
      });
    },
    setPinned: (imageId, isPinned) => {
      inTransaction(() =>
        sql("UPDATE images SET pinned = ? WHERE image_id = ?").run(isPinned ? 1 : 0, imageId),
      );
    },
    blobs: () => rows<BlobRow>("SELECT * FROM blobs ORDER BY blob_no").map(toBlob),
    blob(blobId) {
      const found = row<BlobRow>("SELECT * FROM blobs WHERE blob_id = ?", blobId);
      return found && toBlob(found);
    },
    blobsOf: (bootstrapId) =>
      rows<BlobRow>(
        `SELECT blobs.* FROM bootstrap_blobs
         JOIN blobs USING (blob_no)
         JOIN blobs AS bootstraps ON bootstraps.blob_no = bootstrap_no
         WHERE bootstraps.blob_id = ? ORDER BY blobs.blob_no`,
        bootstrapId,
      ).map(toBlob),
    chunkCount: () => row<{ count: number }>("SELECT count(*) AS count FROM chunks")?.count ?? 0,
    addOwner: ({ owner, imageId, bootstrapId, kind, readonly }) =>
      inTransaction(() => {
        const { changes } = sql(
          `INSERT OR IGNORE INTO owners
           SELECT ?, image_id, bootstrap_id, ?, ? FROM images
           WHERE image_id = ? AND bootstrap_id = ?`,
        ).run(owner, kind, readonly ? 1 : 0, imageId, bootstrapId);
        return changes === 1;
      }),
    owner(owner) {
      const found = row<OwnerRow>("SELECT * FROM owners WHERE owner = ?", owner);
      return found && toOwner(found);
    },
    owners: () => rows<OwnerRow>("SELECT * FROM owners ORDER BY owner").map(toOwner),
    removeOwner: (owner) => {
      inTransaction(() => sql("DELETE FROM owners WHERE owner = ?").run(owner));
    },
    isUnused: ({ imageId, bootstrapId }) =>
      read(() => {
        const needed = sql(
          `SELECT
             EXISTS (SELECT 1 FROM owners WHERE image_id = :image)
               OR EXISTS (SELECT 1 FROM names WHERE image_id = :image)
               OR EXISTS (SELECT 1 FROM images WHERE image_id = :image AND pinned = 1) AS image,
             EXISTS (SELECT 1 FROM images WHERE bootstrap_id = :bootstrap)
               OR EXISTS (SELECT 1 FROM owners WHERE bootstrap_id = :bootstrap) AS bootstrap`,
        ).get({ image: imageId, bootstrap: bootstrapId });
        return needed?.["image"] !== 1 || needed["bootstrap"] !== 1;
      }),
    forgetChunks: (blobId) => {
      inTransaction(() => sql("DELETE FROM chunks WHERE blob_no = ?").run(blobNo(blobId)));
    },
    async addChunks(blobId, chunks, { signal } = {}) {
      const blob = read(() => blobNo(blobId));
      const insert = sql("INSERT OR IGNORE INTO chunks VALUES (?, ?, ?, ?, ?)");
      // In the order of the table: one page of it is written after the other.
      const order = sortedPairs(chunks.length, (position) => [
        chunks.digestStart?.(position) ?? chunks.at(position)?.digest.readUInt32BE(0) ?? 0,
        position,
      ]);
      for (let start = 0; start < order.size; start += chunksAtOnce) {
        signal?.throwIfAborted();
        inTransaction(() => {
          for (let at = start; at < Math.min(start + chunksAtOnce, order.size); at += 1) {
            const chunk = chunks.at(order.second(at));
            if (chunk === undefined) continue;
            insert.run(chunk.digest, blob, chunk.index, chunk.offset, chunk.size);
          }
        });
        await setImmediate();
      }
    },
    [Symbol.dispose]() {
      if (database.isOpen) database.close();
    },
  };
}

/** What an image's blob table says of a blob. @throws {LongshoreError} `INTERNAL_ERROR` when it is not known */
export function requireBlobInfo(database: ImageDatabase, blobId: string): ImageBlob {
  const info = database.blob(blobId)?.info;
  if (info !== undefined) return info;
  throw new LongshoreError("INTERNAL_ERROR", `The store knows nothing of blob ${blobId}.`);
}

function open(path: string): DatabaseSync {
  let opened: DatabaseSync | undefined;
  try {
    opened = new DatabaseSync(path, { timeout: 30_000 });
    chmodSync(path, 0o600);
    opened.exec("PRAGMA journal_mode = WAL");
    opened.exec("PRAGMA synchronous = FULL");
    opened.exec("PRAGMA foreign_keys = ON");
    migrate(opened, path);
    return opened;
  } catch (error) {
    opened?.close();
    throw toIoError(error, path);
  }
}

function toIoError(error: unknown, path: string): LongshoreError {
  if (error instanceof LongshoreError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new LongshoreError("IO_ERROR", `The image store ${path} cannot be used: ${reason}`, {
    cause: error,
    details: { path },
  });
}
