import { chunkEntrySize, decodeChunkEntry } from "./chunk-table.ts";
import type { ExtendedSuperblock } from "./extended-superblock.ts";
import { rafsFault } from "./rafs-fault.ts";
import { sortedPairs, type SortedPairs } from "./sorted-pairs.ts";

/** Finds the digest of a chunk in the chunk table of an image. */
export interface ChunkLookup {
  /**
   * The digest of a chunk; empty when the table does not list it.
   *
   * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when the table says another place or size
   */
  find(blobIndex: number, chunk: ChunkPlace): Buffer;
}

interface ChunkPlace {
  readonly index: number;
  readonly offset: number;
  readonly size: number;
}

const unknown = Buffer.alloc(0);

/** Looks chunks up by blob and number; sorts the table, which is ordered by digest, at the first call. */
export function chunkLookup(image: Buffer, extended: ExtendedSuperblock): ChunkLookup {
  const { chunkTableOffset, chunkTableSize } = extended;
  let sorted: SortedPairs | undefined;

  const sort = (): SortedPairs =>
    sortedPairs(chunkTableSize / chunkEntrySize, (position) => {
      const at = chunkTableOffset + position * chunkEntrySize;
      return [chunkKey(image.readUInt32LE(at + 32), image.readUInt32LE(at + 72)), position];
    });

  return {
    find(blobIndex, { index, offset, size }) {
      sorted ??= sort();
      const key = chunkKey(blobIndex, index);
      const position = sorted.lowerBound(key);
      if (position >= sorted.size || sorted.first(position) !== key) return unknown;
      const entry = decodeChunkEntry(
        image,
        chunkTableOffset + sorted.second(position) * chunkEntrySize,
      );
      if (
        entry.blobIndex !== blobIndex ||
        entry.index !== index ||
        entry.offset !== offset ||
        entry.size !== size
      ) {
        throw rafsFault(
          "chunk-entry",
          `chunk ${index} of blob ${blobIndex} is not where the chunk table says`,
        );
      }
      return entry.digest;
    },
  };
}

/** Blob and number of a chunk in 32 bits: a valid image has at most 254 blobs of 2^24 chunks. */
function chunkKey(blobIndex: number, index: number): number {
  return ((blobIndex << 24) | (index & 0xff_ffff)) >>> 0;
}
