import { LongshoreError } from "@longshore/core/errors";
import type { BlobMeta } from "../rafs/blob-meta.ts";
import type { ImageBlob } from "../rafs/readable-filesystem.ts";
import type { ChunkSpan } from "./readahead.ts";

/**
 * The chunks that hold bytes of a range; `undefined` for a range of padding only.
 *
 * @throws {LongshoreError} `IO_ERROR` for a range that leaves the blob
 */
export function chunkSpan(
  meta: BlobMeta,
  range: { readonly offset: number; readonly length: number },
  blob: Pick<ImageBlob, "id" | "uncompressedSize">,
): ChunkSpan | undefined {
  const { offset, length } = range;
  const end = offset + length;
  if (!Number.isSafeInteger(offset) || offset < 0 || end > blob.uncompressedSize) {
    throw new LongshoreError("IO_ERROR", `Blob ${blob.id} ends before the bytes asked for.`, {
      details: { blobId: blob.id, offset, length, size: blob.uncompressedSize },
      retryable: false,
    });
  }
  if (length === 0) return undefined;
  // The chunk that begins last at or before the first byte, and the one that begins last before the end.
  let first = beginsBefore(meta, offset + 1);
  const last = beginsBefore(meta, end);
  const chunk = meta.chunk(first);
  if (chunk.offset + chunk.size <= offset) first += 1;
  return first > last ? undefined : { first, last };
}

/** Number of the last chunk that begins before the offset, which is greater than 0. */
function beginsBefore(meta: BlobMeta, offset: number): number {
  let low = 0;
  let high = meta.chunkCount - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (meta.chunk(middle).offset < offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
