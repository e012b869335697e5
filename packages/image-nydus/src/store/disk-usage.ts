import { lstat } from "node:fs/promises";
import type { ImageDatabase } from "./image-database.ts";
import type { StoreLayout } from "./store-layout.ts";

/** What one image takes. */
export interface ImageUsage {
  readonly imageId: string;
  readonly names: readonly string[];
  /** Bytes of its files, as a user of it sees them */
  readonly logicalBytes: number;
  /** Bytes on disk that no other image needs: what its removal gives back */
  readonly ownBytes: number;
  /** Bytes on disk that other images need, too */
  readonly sharedBytes: number;
}

/** What the store takes. */
export interface DiskUsage {
  readonly images: readonly ImageUsage[];
  /** Bytes of all images' files, as if each were kept by itself */
  readonly logicalBytes: number;
  /** Bytes that the files of the store take on disk */
  readonly storedBytes: number;
  /** Files of the store */
  readonly files: number;
  /** `logicalBytes / storedBytes`; 1 for an empty store */
  readonly dedupRatio: number;
}

/** Measures the store: real blocks on disk, not what files claim to have. */
export async function measureDiskUsage(
  database: ImageDatabase,
  layout: StoreLayout,
): Promise<DiskUsage> {
  const sizes = new Map<string, number>();
  for (const blobId of await layout.listBlobs()) {
    const found = await lstat(layout.blobPath(blobId)).catch(() => undefined);
    if (found !== undefined) sizes.set(blobId, found.blocks * 512);
  }
  const images = database.images();
  const needs = images.map(({ bootstrapId }) => [
    bootstrapId,
    ...database.blobsOf(bootstrapId).map(({ blobId }) => blobId),
  ]);
  const userCounts = new Map<string, number>();
  for (const blobId of needs.flat()) userCounts.set(blobId, (userCounts.get(blobId) ?? 0) + 1);
  const usage = images.map(({ imageId, logicalSize }, index): ImageUsage => {
    let ownBytes = 0;
    let sharedBytes = 0;
    for (const blobId of needs[index] ?? []) {
      const size = sizes.get(blobId) ?? 0;
      if (userCounts.get(blobId) === 1) ownBytes += size;
      else sharedBytes += size;
    }
    const names = database.names(imageId);
    return { imageId, names, logicalBytes: logicalSize, ownBytes, sharedBytes };
  });
  const logicalBytes = usage.reduce((sum, image) => sum + image.logicalBytes, 0);
  const storedBytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return {
    images: usage,
    logicalBytes,
    storedBytes,
    files: sizes.size,
    dedupRatio: storedBytes === 0 ? 1 : logicalBytes / storedBytes,
  };
}
