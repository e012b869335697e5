import { hash } from "node:crypto";
import type { BlobWriter } from "../rafs/blob-writer.ts";
import type { TarContent } from "../tar/tar-entry.ts";
import type { ChunkRef } from "../tree/inode.ts";
import type { PackedChunks } from "../tree/packed-chunks.ts";
import { fileChunks } from "./file-chunks.ts";

/** Where a chunk lies that the store has already. */
export interface KnownChunk {
  /** sha256 of the blob file, hex */
  readonly blobId: string;
  readonly index: number;
  readonly offset: number;
  readonly size: number;
}

export interface ChunkStoreOptions {
  /** Takes the bytes of chunks that are new */
  readonly writer: BlobWriter;
  /** Those of the tree; the ones that are stored are added */
  readonly chunks: PackedChunks;
  /** Bytes of a chunk */
  readonly chunkSize: number;
  /** Looks a chunk up by the sha256 of its bytes among those of all other images */
  findChunk(digest: Buffer): KnownChunk | undefined;
  /** Blobs of other images that one image may lean on; beyond it chunks are stored again. @default 250 */
  readonly maxReusedBlobs?: number | undefined;
}

export interface ChunkStoreStats {
  /** Bytes of chunks that were there already, in this image or another */
  readonly reusedBytes: number;
  readonly storedBytes: number;
  readonly reusedChunks: number;
  readonly storedChunks: number;
}

/** Cuts files into chunks and stores each chunk once. */
export interface ChunkStore {
  /** Stores a file's bytes and says which chunks of the tree they are. */
  storeFile(content: AsyncIterable<TarContent>): Promise<readonly number[]>;
  /** Ids of the blobs of other images that are leant on */
  readonly reusedBlobIds: ReadonlySet<string>;
  readonly stats: ChunkStoreStats;
}

export function chunkStore(options: ChunkStoreOptions): ChunkStore {
  const { writer, chunks, chunkSize, findChunk, maxReusedBlobs = 250 } = options;
  const reusedBlobIds = new Set<string>();
  /** Of the chunk at hand */
  const digest = Buffer.allocUnsafeSlow(32);
  const scratch = Buffer.allocUnsafeSlow(chunkSize);
  const stats = { reusedBytes: 0, storedBytes: 0, reusedChunks: 0, storedChunks: 0 };
  let zeros: Buffer | undefined;
  /** Of a whole chunk of zeros */
  let zeroKey: string | undefined;

  function zeroBytes(size: number): Buffer {
    zeros ??= Buffer.alloc(chunkSize);
    return zeros.subarray(0, size);
  }

  function zeroKeyOf(size: number): string {
    // Only the ends of files have odd sizes.
    if (size !== chunkSize) return digestOf(zeroBytes(size));
    zeroKey ??= digestOf(zeroBytes(size));
    return zeroKey;
  }

  function find(size: number): ChunkRef | undefined {
    const place = findChunk(digest);
    if (place?.size !== size) return undefined;
    const { blobId, index, offset } = place;
    if (!reusedBlobIds.has(blobId)) {
      if (reusedBlobIds.size >= maxReusedBlobs) return undefined;
      reusedBlobIds.add(blobId);
    }
    return { blobId, index, offset, size, digest };
  }

  async function storeChunk(key: string, bytes: Buffer): Promise<number> {
    const size = bytes.length;
    digest.write(key, "latin1");
    const before = chunks.find(digest);
    const found = before === undefined ? find(size) : undefined;
    const chunk = before ?? chunks.add(found ?? (await writer.append(bytes, digest)));
    if (before === undefined && found === undefined) {
      stats.storedChunks += 1;
      stats.storedBytes += size;
    } else {
      stats.reusedChunks += 1;
      stats.reusedBytes += size;
    }
    return chunk;
  }

  return {
    async storeFile(content) {
      const stored: number[] = [];
      for await (const chunk of fileChunks(content, chunkSize, scratch)) {
        stored.push(
          chunk.kind === "data"
            ? await storeChunk(digestOf(chunk.bytes), chunk.bytes)
            : await storeChunk(zeroKeyOf(chunk.size), zeroBytes(chunk.size)),
        );
      }
      return stored;
    },
    reusedBlobIds,
    stats,
  };
}

/** The sha256 of bytes as a text of one character a byte, as a buffer for each chunk would cost more to make. */
function digestOf(bytes: Buffer): string {
  return hash("sha256", bytes, "binary");
}
