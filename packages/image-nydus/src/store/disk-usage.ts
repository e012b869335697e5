import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ImageDatabase } from "./image-database.ts";
import type { StoreLayout } from "./store-layout.ts";

/** What one image takes. */
export interface ImageUsage {
  readonly imageId: string;
  readonly names: readonly string[];
  readonly isPinned: boolean;
  readonly pulledAtMs: number;
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
  const files = await storedFiles(layout);
  let fileCount = 0;
  for (const { blobId, path } of files) {
    const found = await lstat(path).catch(() => undefined);
    if (found === undefined) continue;
    fileCount += 1;
    sizes.set(blobId, (sizes.get(blobId) ?? 0) + found.blocks * 512);
  }
  const images = database.images();
  const needs = images.map(({ bootstrapId }) => [
    bootstrapId,
    ...database.blobsOf(bootstrapId).map(({ blobId }) => blobId),
  ]);
  const userCounts = new Map<string, number>();
  for (const blobId of needs.flat()) userCounts.set(blobId, (userCounts.get(blobId) ?? 0) + 1);
  const usage = images.map((image, index): ImageUsage => {
    const { imageId, isPinned, pulledAtMs, logicalSize: logicalBytes } = image;
    let ownBytes = 0;
    let sharedBytes = 0;
    for (const blobId of needs[index] ?? []) {
      const size = sizes.get(blobId) ?? 0;
      if (userCounts.get(blobId) === 1) ownBytes += size;
      else sharedBytes += size;
    }
    const names = database.names(imageId);
    return { imageId, names, isPinned, pulledAtMs, logicalBytes, ownBytes, sharedBytes };
  });
  const logicalBytes = usage.reduce((sum, image) => sum + image.logicalBytes, 0);
  const storedBytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return {
    images: usage,
    logicalBytes,
    storedBytes,
    files: fileCount,
    dedupRatio: storedBytes === 0 ? 1 : logicalBytes / storedBytes,
  };
}

/** The files of blobs, also of those that are there in parts because they are loaded on demand. */
async function storedFiles(
  layout: StoreLayout,
): Promise<readonly { readonly blobId: string; readonly path: string }[]> {
  const whole = await layout.listBlobs();
  const parts = await readdir(layout.lazyDirectory);
  return [
    ...whole.map((blobId) => ({ blobId, path: layout.blobPath(blobId) })),
    ...parts.map((name) => ({
      blobId: name.slice(0, 64),
      path: join(layout.lazyDirectory, name),
    })),
  ];
}
