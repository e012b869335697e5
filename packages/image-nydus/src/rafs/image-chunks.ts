import { chunkEntrySize, decodeChunkEntry, type ChunkEntry } from "./chunk-table.ts";
import { readRafsHeader } from "./rafs-header.ts";

/**
 * The distinct chunks of an image, as its chunk table lists them: sorted by digest.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when the header or an entry is damaged
 */
export function* imageChunks(image: Buffer): Generator<ChunkEntry, void, undefined> {
  const { chunkTableOffset, chunkTableSize } = readRafsHeader(image).extended;
  for (let at = 0; at < chunkTableSize; at += chunkEntrySize) {
    yield decodeChunkEntry(image, chunkTableOffset + at);
  }
}
