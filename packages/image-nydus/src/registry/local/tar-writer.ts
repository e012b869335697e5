import type { FileHandle } from "node:fs/promises";

/** Appends regular files to a tar archive (ustar, PAX for long names). The same files give the same bytes. */
export interface TarWriter {
  addBytes(path: string, bytes: Buffer): Promise<void>;
  /** Adds a file whose size shows at its end. When the content fails, the archive is as it was before. */
  addStream(path: string, content: AsyncIterable<Buffer>): Promise<void>;
  /** Writes the archive's end. */
  end(): Promise<void>;
}

const blockBytes = 512;
const maxNameBytes = 100;
/** Largest size in the eleven octal digits of a header */
const maxOctalSize = 8 ** 11 - 1;

/** The handle has to be for writing, at the start of an empty file. Calls must not overlap. */
export function createTarWriter(handle: FileHandle): TarWriter {
  let position = 0;

  async function write(bytes: Buffer, at: number): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      const rest = bytes.length - written;
      const { bytesWritten } = await handle.write(bytes, written, rest, at + written);
      written += bytesWritten;
    }
  }

  async function addStream(path: string, content: AsyncIterable<Buffer>): Promise<void> {
    const start = position;
    // Its length is the same whatever the size, so that the content can come first.
    const headerLength = entryHeader(path, 0).length;
    let size = 0;
    try {
      for await (const chunk of content) {
        await write(chunk, start + headerLength + size);
        size += chunk.length;
      }
      await write(entryHeader(path, size), start);
    } catch (error) {
      await handle.truncate(start);
      throw error;
    }
    const padding = (blockBytes - (size % blockBytes)) % blockBytes;
    position = start + headerLength + size;
    await write(Buffer.alloc(padding), position);
    position += padding;
  }

  return {
    addStream,
    addBytes: (path, bytes) =>
      addStream(
        path,
        (async function* once() {
          yield bytes;
        })(),
      ),
    async end() {
      await write(Buffer.alloc(2 * blockBytes), position);
      position += 2 * blockBytes;
    },
  };
}

function entryHeader(path: string, size: number): Buffer {
  if (Buffer.byteLength(path) <= maxNameBytes) return header(path, size, "0");
  const record = paxRecord("path", path);
  const padding = (blockBytes - (record.length % blockBytes)) % blockBytes;
  return Buffer.concat([
    header("PaxHeaders/file", record.length, "x"),
    record,
    Buffer.alloc(padding),
    header(path.slice(0, maxNameBytes), size, "0"),
  ]);
}

/** `LENGTH key=value\n`, where the length counts itself. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

function header(name: string, size: number, type: "0" | "x"): Buffer {
  const block = Buffer.alloc(blockBytes);
  block.write(name, 0, maxNameBytes, "utf8");
  block.write("0000644\0", 100);
  block.write("0000000\0", 108);
  block.write("0000000\0", 116);
  if (size <= maxOctalSize) {
    block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  } else {
    // As GNU does: a big-endian number with the topmost bit set.
    block[124] = 0x80;
    block.writeBigUInt64BE(BigInt(size), 128);
  }
  block.write("00000000000\0", 136);
  block.write(" ".repeat(8), 148);
  block.write(type, 156);
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
