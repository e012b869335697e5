/** Bits of a blob's features, in the blob table and in the header of its chunk table. */
export const blobFeatures = {
  /** Chunks begin on multiples of 4 KiB of the uncompressed space */
  aligned: 0x1,
  inlineMetadata: 0x2,
  chunkInfoV2: 0x4,
  zran: 0x8,
  /** The chunk table is a file of its own */
  separateChunkTable: 0x10,
  inlineDigests: 0x20,
  tarfs: 0x40,
  batch: 0x80,
  encrypted: 0x100,
  generatedDictionary: 0x200,
  prefetchBlob: 0x400,
  external: 0x800,
  /** A tar header follows each section */
  tarHeaders: 0x1000_0000,
  toc: 0x2000_0000,
  /** Written by a builder of 2.2 or later */
  modern: 0x4000_0000,
} as const;

/** Whether features hold a bit that no version defines. */
export function hasUnknownFeatures(features: number): boolean {
  return (features & 0xf000) !== 0;
}
