import { constants } from "node:fs";
import { open, rm } from "node:fs/promises";
import type { Abortable } from "@longshore/core";
import { hasCode, isLongshoreError, LongshoreError } from "@longshore/core/errors";
import { writeWhole } from "@longshore/core/files";
import { alignUp } from "../erofs/align-up.ts";
import { blobMetaHeaderSize } from "../rafs/blob-meta-header.ts";
import { readBlobMeta, type BlobMeta } from "../rafs/blob-meta.ts";
import { decompress } from "../rafs/decompress.ts";
import type { ImageBlob } from "../rafs/readable-filesystem.ts";
import type { StoredRange } from "./fetch-range.ts";

/** What a table of the largest blob has */
const maxTableBytes = 384 * 1_048_576;

export interface CachedBlobMetaOptions extends Abortable {
  /** The `.blob.meta` file */
  readonly path: string;
  readonly blob: ImageBlob;
  /** The same file as it came with the image, which saves fetching the table */
  readonly bundled?: Buffer | undefined;
  /** Fetches bytes of the blob, with everything that fetching may take */
  fetch(range: StoredRange, options: Abortable): Promise<Buffer>;
}

/**
 * Where the chunks of a blob lie: from a file of an earlier run, from what came with the image, or fetched from the blob.
 * Keeps it in the file. It need not be trusted: chunks are checked by the digests of the image.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when the blob's table is wrong or not that of the image; what the
 *   fetch throws
 */
export async function cachedBlobMeta(options: CachedBlobMetaOptions): Promise<BlobMeta> {
  const { path, blob, bundled, fetch, signal } = options;
  const { offset, compressedSize, uncompressedSize, compressor } = blob.chunkTable;
  if (Math.max(compressedSize, uncompressedSize) > maxTableBytes) {
    throw new LongshoreError(
      "IMAGE_CHECKSUM_MISMATCH",
      `The chunk table of blob ${blob.id} is too large.`,
      {
        details: { compressedSize, uncompressedSize, maxTableBytes },
      },
    );
  }
  const plainSize = alignUp(uncompressedSize, 4096) + blobMetaHeaderSize;
  const kept = parsed(await readFileOfSize(path, plainSize), blob);
  if (kept !== undefined) return kept;
  const brought = parsed(bundled, blob);
  if (brought !== undefined && bundled !== undefined) {
    await writeWhole(path, bundled);
    return brought;
  }
  const stored = await fetch({ offset, length: compressedSize + blobMetaHeaderSize }, { signal });
  const meta = readBlobMeta(stored, { blob });
  const table = decompress(stored.subarray(0, compressedSize), compressor, uncompressedSize);
  const padding = Buffer.alloc(plainSize - blobMetaHeaderSize - uncompressedSize);
  await writeWhole(path, Buffer.concat([table, padding, stored.subarray(compressedSize)]));
  return meta;
}

/** `undefined` for bytes that are not this blob's table: then there is a better place to have it from. */
function parsed(bytes: Buffer | undefined, blob: ImageBlob): BlobMeta | undefined {
  if (bytes === undefined) return undefined;
  try {
    return readBlobMeta(bytes, { blob, form: "cache" });
  } catch (error) {
    if (isLongshoreError(error, "IMAGE_CHECKSUM_MISMATCH")) return undefined;
    throw error;
  }
}

async function readFileOfSize(path: string, size: number): Promise<Buffer | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      return stat.isFile() && stat.size === size ? await file.readFile() : undefined;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    // A link or anything else that is no file is in the way of the one that is about to be written.
    await rm(path, { force: true });
    return undefined;
  }
}
