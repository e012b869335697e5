import type { BlobWriter } from "../rafs/blob-writer.ts";
import type { ChunkRef } from "../tree/inode.ts";
import type { ChunkSource } from "./chunk-source.ts";
import type { MapChunk } from "./read-tree.ts";

/**
 * Copies the chunks that it is asked for into one new blob, each once, and says where they are there. What it writes depends
 * on the bytes and their order alone, not on the blobs they came from.
 */
export function chunkPacker(source: ChunkSource, writer: BlobWriter): MapChunk {
  const byDigest = new Map<string, ChunkRef>();

  async function copy(chunk: ChunkRef): Promise<ChunkRef> {
    const { bytes, digest } = await source.read(chunk);
    const key = digest.toString("latin1");
    const packed = byDigest.get(key) ?? (await writer.append(bytes, digest));
    byDigest.set(key, packed);
    return packed;
  }

  return (chunk) => {
    const digest = source.digestOf(chunk);
    return (digest && byDigest.get(digest.toString("latin1"))) ?? copy(chunk);
  };
}
