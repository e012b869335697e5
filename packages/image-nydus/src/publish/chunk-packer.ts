import type { BlobWriter } from "../rafs/blob-writer.ts";
import type { ChunkRef } from "../tree/inode.ts";
import type { PackedChunks } from "../tree/packed-chunks.ts";
import type { ChunkSource } from "./chunk-source.ts";
import type { MapChunk } from "./read-tree.ts";

/**
 * Copies the chunks that it is asked for into one new blob, each once, and says where they are there. What it writes depends
 * on the bytes and their order alone, not on the blobs they came from.
 *
 * @param packed those of the new image's tree, which takes in each chunk before the next one is asked for
 */
export function chunkPacker(
  source: ChunkSource,
  writer: BlobWriter,
  packed: PackedChunks,
): MapChunk {
  function find(digest: Buffer): ChunkRef | undefined {
    const number = packed.find(digest);
    return number === undefined ? undefined : packed.at(number);
  }

  async function copy(chunk: ChunkRef): Promise<ChunkRef> {
    const { bytes, digest } = await source.read(chunk);
    return find(digest) ?? (await writer.append(bytes, digest));
  }

  return (chunk) => {
    const digest = source.digestOf(chunk);
    return (digest && find(digest)) ?? copy(chunk);
  };
}
