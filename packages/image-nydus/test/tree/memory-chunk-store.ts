import { createHash } from "node:crypto";
import type { TarContent } from "../../src/tar/tar-entry.ts";
import type { ChunkRef, FileInode } from "../../src/tree/inode.ts";

/** Keeps chunks in memory, each different one once, as one blob. */
export interface MemoryChunkStore {
  storeFile(content: AsyncIterable<TarContent>, size: number): Promise<readonly ChunkRef[]>;
  /** The bytes of a chunk */
  chunk(ref: ChunkRef): Buffer;
  /** Digest of a whole file, hex */
  sha256Of(file: FileInode): string;
  contentOf(file: FileInode): Buffer;
  /** Bytes that are kept */
  readonly storedBytes: number;
}

const blobId = "0".repeat(64);

export function memoryChunkStore(chunkSize: number = 2 ** 20): MemoryChunkStore {
  const refs = new Map<string, ChunkRef>();
  const bytesOf: Buffer[] = [];
  let storedBytes = 0;
  let end = 0;
  const zeros = Buffer.alloc(chunkSize);

  function store(bytes: Buffer): ChunkRef {
    const digest = createHash("sha256").update(bytes).digest();
    const known = refs.get(digest.toString("hex"));
    if (known !== undefined) return known;
    const ref = { blobId, index: bytesOf.length, offset: end, size: bytes.length, digest };
    refs.set(digest.toString("hex"), ref);
    bytesOf.push(Buffer.from(bytes));
    storedBytes += bytes.length;
    end += Math.ceil(bytes.length / 4_096) * 4_096;
    return ref;
  }

  function chunk({ index }: ChunkRef): Buffer {
    const bytes = bytesOf[index];
    if (bytes === undefined) throw new RangeError(`there is no chunk ${index}`);
    return bytes;
  }

  return {
    async storeFile(content, size) {
      const chunks: ChunkRef[] = [];
      const pending = Buffer.alloc(Math.min(size, chunkSize));
      let filled = 0;
      let zeroChunk: ChunkRef | undefined;
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
      const total = chunks.reduce((sum, ref) => sum + ref.size, 0);
      if (total !== size) throw new Error(`the file should have ${size} bytes, it had ${total}`);
      return chunks;
    },
    chunk,
    sha256Of({ chunks }) {
      const digest = createHash("sha256");
      for (const ref of chunks) digest.update(chunk(ref));
      return digest.digest("hex");
    },
    contentOf: ({ chunks }) => Buffer.concat(chunks.map(chunk)),
    get storedBytes() {
      return storedBytes;
    },
  };
}
