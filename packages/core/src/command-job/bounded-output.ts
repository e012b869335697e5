import type { Readable } from "node:stream";

/** What was kept of a stream, and how much was not. */
export interface CapturedOutput {
  readonly text: string;
  readonly isTruncated: boolean;
  /** Bytes that are not in `text` */
  readonly truncatedBytes: number;
}

const firstCapacity = 4_096;

/** Reads a stream to its end and keeps no more than its beginning. */
export class BoundedOutput {
  readonly #maxBytes: number;
  // One buffer that grows: a list of chunks costs far more than their bytes when a program writes byte by byte.
  #kept = Buffer.alloc(0);
  #keptBytes = 0;
  #droppedBytes = 0;

  constructor(stream: Readable, maxBytes: number) {
    this.#maxBytes = maxBytes;
    stream.on("data", (chunk: Buffer) => {
      this.#add(chunk);
    });
    stream.on("error", () => {
      // A pipe that breaks has ended; the exit status tells what became of its process.
    });
  }

  /** The text so far. A character that the limit cuts is left out; bytes that are no UTF-8 become U+FFFD. */
  capture(): CapturedOutput {
    const bytes = this.#kept.subarray(0, this.#keptBytes);
    const isTruncated = this.#droppedBytes > 0;
    const end = isTruncated ? lastCharacterEnd(bytes) : bytes.length;
    return {
      text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(0, end)),
      isTruncated,
      truncatedBytes: this.#droppedBytes + bytes.length - end,
    };
  }

  #add(chunk: Buffer): void {
    const count = Math.min(chunk.length, this.#maxBytes - this.#keptBytes);
    this.#droppedBytes += chunk.length - count;
    const needed = this.#keptBytes + count;
    if (needed > this.#kept.length) {
      const capacity = Math.max(needed, firstCapacity, 2 * this.#kept.length);
      const grown = Buffer.allocUnsafeSlow(Math.min(capacity, this.#maxBytes));
      this.#kept.copy(grown, 0, 0, this.#keptBytes);
      this.#kept = grown;
    }
    chunk.copy(this.#kept, this.#keptBytes, 0, count);
    this.#keptBytes = needed;
  }
}

/** Where the last whole character ends (RFC 3629: a lead byte says how many follow). */
function lastCharacterEnd(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(4, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
