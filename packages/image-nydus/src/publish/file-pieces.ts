import type { FileHandle } from "node:fs/promises";

const pieceSize = 262_144;

/**
 * The first bytes of a file in pieces, each with memory of its own. It stops early when the file is shorter.
 *
 * @param size bytes to read
 */
export async function* filePieces(
  file: FileHandle,
  size: number,
): AsyncGenerator<Buffer, void, undefined> {
  for (let position = 0; position < size;) {
    const buffer = Buffer.allocUnsafeSlow(Math.min(pieceSize, size - position));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Bytes of a file from a place on. @throws {RangeError} when the file is shorter */
export async function readBytes(
  file: FileHandle,
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) throw new RangeError(`the file ends before byte ${offset + length}`);
    done += bytesRead;
  }
  return bytes;
}
