import { LongshoreError } from "@longshore/core/errors";
import type { ReadableFilesystem } from "../rafs/readable-filesystem.ts";

/** A run of bytes of one blob. */
export interface BlobPiece {
  readonly blobId: string;
  /** In the blob's uncompressed space */
  readonly offset: number;
  readonly length: number;
}

/** A byte range of a file, which lies inside the file. */
export interface FileRange {
  readonly nid: number;
  readonly offset: number;
  readonly length: number;
}

/**
 * The pieces of blobs that make up a range of a file, in its order. Pieces that lie side by side in a blob come as one.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when a chunk is too short for the range
 */
export function readPieces(filesystem: ReadableFilesystem, range: FileRange): BlobPiece[] {
  const { chunkSize } = filesystem;
  const pieces: BlobPiece[] = [];
  const end = range.offset + range.length;
  let at = range.offset;
  while (at < end) {
    const number = Math.floor(at / chunkSize);
    const within = at - number * chunkSize;
    const length = Math.min(chunkSize - within, end - at);
    const chunk = filesystem.chunk(range.nid, number);
    if (within + length > chunk.size) {
      throw new LongshoreError(
        "IMAGE_CHECKSUM_MISMATCH",
        "A chunk is shorter than its file says.",
        {
          details: { nid: range.nid, chunk: number, size: chunk.size, needed: within + length },
        },
      );
    }
    const offset = chunk.offset + within;
    const last = pieces.at(-1);
    if (last?.blobId === chunk.blobId && last.offset + last.length === offset) {
      pieces[pieces.length - 1] = { ...last, length: last.length + length };
    } else {
      pieces.push({ blobId: chunk.blobId, offset, length });
    }
    at += length;
  }
  return pieces;
}
