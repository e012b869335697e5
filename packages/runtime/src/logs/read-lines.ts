import type { FileHandle } from "node:fs/promises";

const chunkBytes = 65_536;
/** An entry has some 16 KiB; what is much longer is no log of ours, and is passed over */
const maxLineBytes = 1_048_576;
const newlineByte = 0x0a;

/** Reads the lines of a file that grows, as far as they are complete. */
export interface LineReader {
  /** Complete lines up to the present end of the file, without their breaks; call again when there is more. */
  read(): AsyncIterable<Uint8Array>;
}

export function lineReader(file: FileHandle, offset = 0): LineReader {
  let position = offset;
  let rest = Buffer.alloc(0);
  let isPassing = false;

  async function* read(): AsyncIterable<Uint8Array> {
    for (;;) {
      const { bytesRead, buffer } = await file.read(
        Buffer.allocUnsafe(chunkBytes),
        0,
        chunkBytes,
        position,
      );
      if (bytesRead === 0) return;
      position += bytesRead;
      const bytes = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      let start = 0;
      for (
        let end = bytes.indexOf(newlineByte);
        end !== -1;
        end = bytes.indexOf(newlineByte, start)
      ) {
        const line = bytes.subarray(start, end);
        start = end + 1;
        if (!isPassing) yield line;
        isPassing = false;
      }
      rest = bytes.subarray(start);
      if (rest.length > maxLineBytes || isPassing) {
        isPassing = true;
        rest = Buffer.alloc(0);
      }
    }
  }

  return { read };
}
