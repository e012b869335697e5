import type { TarContent } from "../tar/tar-entry.ts";

/** One chunk of a file: its bytes, or how many zeros it has. */
export type FileChunk =
  | { readonly kind: "data"; readonly bytes: Buffer }
  | { readonly kind: "zeros"; readonly size: number };

/**
 * Cuts a file into chunks of one size; the last may be shorter. Bytes that arrive as a whole chunk are not copied, and
 * chunks that are hole throughout are never written out. A chunk counts until the next one is asked for.
 */
export async function* fileChunks(
  content: AsyncIterable<TarContent>,
  chunkSize: number,
): AsyncGenerator<FileChunk, void, undefined> {
  let pieces: Buffer[] = [];
  let zeros = 0;
  let size = 0;

  function take(): FileChunk {
    const chunk: FileChunk =
      pieces.length === 0
        ? { kind: "zeros", size: zeros }
        : { kind: "data", bytes: joined(pieces, size) };
    pieces = [];
    zeros = 0;
    size = 0;
    return chunk;
  }

  for await (const piece of content) {
    let left = piece.kind === "data" ? piece.bytes.length : piece.size;
    let from = 0;
    while (left > 0) {
      const length = Math.min(left, chunkSize - size);
      if (piece.kind === "data") {
        if (zeros > 0) pieces.push(Buffer.alloc(zeros));
        zeros = 0;
        pieces.push(piece.bytes.subarray(from, from + length));
      } else if (pieces.length > 0) {
        pieces.push(Buffer.alloc(length));
      } else {
        zeros += length;
      }
      from += length;
      left -= length;
      size += length;
      if (size === chunkSize) yield take();
    }
  }
  if (size > 0) yield take();
}

function joined(pieces: readonly Buffer[], size: number): Buffer {
  const [first] = pieces;
  return pieces.length === 1 && first !== undefined ? first : Buffer.concat(pieces, size);
}
