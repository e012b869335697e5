import { rm } from "node:fs/promises";
import { join } from "node:path";
import { LongshoreError } from "@longshore/core/errors";
import { syncDirectory } from "@longshore/core/files";

/** Files that hold what was fetched of a blob, under the names nydusd gives them. */
export interface LazyFiles {
  /** Uncompressed bytes at their offsets, with holes for what is missing; complete, it can serve a kernel as a device */
  readonly data: string;
  /** Which chunks of it are there */
  readonly map: string;
  /** Where the chunks lie in the blob */
  readonly meta: string;
}

/** @throws {LongshoreError} `VALIDATION_ERROR` when that is no id of a blob */
export function lazyFiles(directory: string, blobId: string): LazyFiles {
  if (!/^[0-9a-f]{64}$/.test(blobId)) {
    throw new LongshoreError("VALIDATION_ERROR", "A blob id must be 64 hexadecimal digits.", {
      details: { field: "blobId", expected: "sha256 as lower-case hex", blobId },
    });
  }
  const path = join(directory, blobId);
  return { data: `${path}.blob.data`, map: `${path}.chunk_map`, meta: `${path}.blob.meta` };
}

/** Deletes what was fetched of a blob. It must not be open. Safe to interrupt: the map goes first. */
export async function removeLazyFiles(directory: string, blobId: string): Promise<void> {
  const files = lazyFiles(directory, blobId);
  await rm(files.map, { force: true });
  await syncDirectory(directory);
  await rm(files.data, { force: true });
  await rm(files.meta, { force: true });
}
