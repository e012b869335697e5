import type { TarContent } from "../tar/tar-entry.ts";

/** One chunk of a file: its bytes, or how many zeros it has. */
export type FileChunk =
  | { readonly kind: "data"; readonly bytes: Buffer }
  | { readonly kind: "zeros"; readonly size: number };

/**
 * Cuts a file into chunks of one size; the last may be shorter. Bytes that arrive as a whole chunk are not copied, and
 * chunks that are hole throughout are never written out. A chunk counts until the next one is asked for.
 *
 * @param scratch where chunks of several pieces are put together; holds one chunk, for one file at a time. @default a new one
 */
export async function* fileChunks(
  content: AsyncIterable<TarContent>,
  chunkSize: number,
  scratch: Buffer = Buffer.allocUnsafeSlow(chunkSize),
): AsyncGenerator<FileChunk, void, undefined> {
  /** Of the chunk so far: all its bytes in one piece, or else they are in the scratch unless there are only zeros */
  let only: Buffer | undefined;
  let zeros = 0;
  let size = 0;

  function toScratch(): void {
    only?.copy(scratch);
    only = undefined;
    scratch.fill(0, 0, zeros);
    zeros = 0;
  }

  function addData(bytes: Buffer): void {
    if (size === 0) only = bytes;
    else {
      toScratch();
      bytes.copy(scratch, size);
    }
  }

  function addZeros(length: number): void {
    if (zeros === size) zeros += length;
    else {
      toScratch();
      scratch.fill(0, size, size + length);
    }
  }

  function take(): FileChunk {
    const chunk: FileChunk =
      zeros === size
        ? { kind: "zeros", size }
        : { kind: "data", bytes: only ?? scratch.subarray(0, size) };
    only = undefined;
    zeros = 0;
    size = 0;
    return chunk;
  }

  for await (const piece of content) {
    let left = piece.kind === "data" ? piece.bytes.length : piece.size;
    let from = 0;
    while (left > 0) {
      const length = Math.min(left, chunkSize - size);
      if (piece.kind === "data") addData(piece.bytes.subarray(from, from + length));
      else addZeros(length);
      from += length;
      left -= length;
      size += length;
      if (size === chunkSize) yield take();
    }
  }
  if (size > 0) yield take();
}
