import type { FileHandle } from "node:fs/promises";

/** Takes bytes one piece after the other. The bytes belong to the caller again when the promise resolves. */
export interface ByteSink {
  write(bytes: Buffer): Promise<void>;
}

/** A sink that appends to an open file, from the handle's position on; it does not close or sync it. */
export function fileSink(handle: FileHandle): ByteSink {
  return {
    async write(bytes) {
      let written = 0;
      while (written < bytes.length) {
        const { bytesWritten } = await handle.write(bytes, written);
        written += bytesWritten;
      }
    },
  };
}
