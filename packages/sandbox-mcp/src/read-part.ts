import type { Readable } from "node:stream";
import { LongshoreError } from "@longshore/core";

/** A piece of a text file. */
export interface FilePart {
  readonly content: string;
  /** Where the next piece begins, in bytes; absent at the end */
  readonly nextOffset: number | undefined;
}

/**
 * Reads a piece of a text file that ends on a whole character, and leaves the stream.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a file that is not text
 */
export async function readPart(
  stream: Readable,
  offset: number,
  maxBytes: number,
): Promise<FilePart> {
  const chunks: Uint8Array[] = [];
  let toSkip = offset;
  // One byte more tells whether there is more.
  let room = maxBytes + 1;
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    const part = chunk.subarray(Math.min(toSkip, chunk.length)).subarray(0, room);
    toSkip -= Math.min(toSkip, chunk.length);
    room -= part.length;
    chunks.push(part);
    if (room === 0) break;
  }
  const bytes = Buffer.concat(chunks);
  const hasMore = bytes.length > maxBytes;
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  try {
    // With `stream` a character that is cut at the end is held back.
    const content = text.decode(bytes.subarray(0, maxBytes), { stream: hasMore });
    if (content.includes("\0")) throw new TypeError("the file has NUL in it");
    const nextOffset = offset + Buffer.byteLength(content);
    return { content, nextOffset: hasMore ? nextOffset : undefined };
  } catch (error) {
    const message = "This is no text: not UTF-8 from here on, or with NUL in it.";
    throw new LongshoreError("VALIDATION_ERROR", message, { cause: error });
  }
}
