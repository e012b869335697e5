import { createHash } from "node:crypto";
import type { TarContent } from "../../src/tar/tar-entry.ts";
import type { PackedChunks } from "../../src/tree/packed-chunks.ts";
import type { TreeFile } from "../../src/tree/tree-inode.ts";

/** Keeps the bytes of a tree's chunks in memory, each different one once, as one blob. */
export interface MemoryChunkStore {
  storeFile(content: AsyncIterable<TarContent>, size: number): Promise<readonly number[]>;
  /** Digest of a whole file, hex */
  sha256Of(file: TreeFile): string;
  /** Bytes that are kept */
  readonly storedBytes: number;
}

const blobId = "0".repeat(64);

export function memoryChunkStore(
  refs: PackedChunks,
  chunkSize: number = 2 ** 20,
): MemoryChunkStore {
  const bytesOf: Buffer[] = [];
  let storedBytes = 0;
  let end = 0;
  const zeros = Buffer.alloc(chunkSize);

  function store(bytes: Buffer): number {
    const digest = createHash("sha256").update(bytes).digest();
    const known = refs.find(digest);
    if (known !== undefined) return known;
    const size = bytes.length;
    const ref = refs.add({ blobId, index: bytesOf.length, offset: end, size, digest });
    bytesOf.push(Buffer.from(bytes));
    storedBytes += bytes.length;
    end += Math.ceil(bytes.length / 4_096) * 4_096;
    return ref;
  }

  function chunk(ref: number): Buffer {
    const bytes = bytesOf[refs.index(ref)];
    if (bytes === undefined) throw new RangeError(`there is no chunk ${ref}`);
    return bytes;
  }

  return {
    async storeFile(content, size) {
      const chunks: number[] = [];
      const pending = Buffer.alloc(Math.min(size, chunkSize));
      let filled = 0;
      let zeroChunk: number | undefined;
      const put = (source: Buffer): void => {
        for (let start = 0; start < source.length;) {
          const count = source.copy(pending, filled, start);
          start += count;
          filled += count;
          if (filled < pending.length) continue;
          chunks.push(store(pending));
          filled = 0;
        }
      };
      for await (const part of content) {
        if (part.kind === "data") put(part.bytes);
        else {
          for (let missing = part.size; missing > 0;) {
            const count = Math.min(missing, chunkSize - filled);
            missing -= count;
            if (count < chunkSize) put(zeros.subarray(0, count));
            else chunks.push((zeroChunk ??= store(zeros)));
          }
        }
      }
      if (filled > 0) chunks.push(store(pending.subarray(0, filled)));
      const total = chunks.reduce((sum, ref) => sum + refs.size(ref), 0);
      if (total !== size) throw new Error(`the file should have ${size} bytes, it had ${total}`);
      return chunks;
    },
    sha256Of({ chunks }) {
      const digest = createHash("sha256");
      for (const ref of chunks) digest.update(chunk(ref));
      return digest.digest("hex");
    },
    get storedBytes() {
      return storedBytes;
    },
  };
}
