import { imageChunks } from "../rafs/image-chunks.ts";

/** What two images have in common, chunk by chunk. Bytes are those of distinct chunks. */
export interface ImageDiff {
  readonly sharedChunks: number;
  readonly sharedBytes: number;
  readonly firstOnlyChunks: number;
  readonly firstOnlyBytes: number;
  readonly secondOnlyChunks: number;
  readonly secondOnlyBytes: number;
}

/**
 * Compares two images by the chunks that their files consist of.
 *
 * @param first bootstrap of an image
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when a bootstrap is damaged
 */
export function diffImages(first: Buffer, second: Buffer): ImageDiff {
  const chunksOfFirst = distinctChunks(first);
  let sharedChunks = 0;
  let sharedBytes = 0;
  let secondOnlyChunks = 0;
  let secondOnlyBytes = 0;
  for (const [digest, size] of distinctChunks(second)) {
    if (chunksOfFirst.has(digest)) {
      sharedChunks += 1;
      sharedBytes += size;
    } else {
      secondOnlyChunks += 1;
      secondOnlyBytes += size;
    }
  }
  const firstBytes = [...chunksOfFirst.values()].reduce((sum, size) => sum + size, 0);
  return {
    sharedChunks,
    sharedBytes,
    firstOnlyChunks: chunksOfFirst.size - sharedChunks,
    firstOnlyBytes: firstBytes - sharedBytes,
    secondOnlyChunks,
    secondOnlyBytes,
  };
}

/** Sizes by digest. A chunk may lie in two blobs. */
function distinctChunks(image: Buffer): ReadonlyMap<string, number> {
  const chunks = new Map<string, number>();
  for (const { digest, size } of imageChunks(image)) chunks.set(digest.toString("latin1"), size);
  return chunks;
}
