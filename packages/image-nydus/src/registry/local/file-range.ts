import type { FileHandle } from "node:fs/promises";
import type { Abortable } from "@longshore/core";

const pieceBytes = 256 * 1_024;

export interface FileRange {
  /** First byte */
  readonly start: number;
  /** Byte after the last one */
  readonly end: number;
}

/** The bytes of a part of a file, each piece in a buffer of its own. Ends early where the file does. */
export async function* readFileRange(
  handle: FileHandle,
  range: FileRange,
  options: Abortable = {},
): AsyncGenerator<Buffer, void, undefined> {
  let position = range.start;
  while (position < range.end) {
    options.signal?.throwIfAborted();
    const buffer = Buffer.allocUnsafeSlow(Math.min(pieceBytes, range.end - position));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
