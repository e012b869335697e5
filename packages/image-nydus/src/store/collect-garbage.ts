import type { ImageDatabase } from "./image-database.ts";
import { linkedNames } from "./image-names.ts";
import type { LazyImages } from "./lazy-images.ts";
import type { StoreLayout } from "./store-layout.ts";

/** What was deleted. */
export interface CollectedGarbage {
  /** Ids of images that nobody has a name for */
  readonly images: readonly string[];
  /** Files */
  readonly blobs: number;
  /** Bytes */
  readonly bytes: number;
  /** Whether nothing could be deleted, since an image was being added: collect again later */
  readonly isDeferred: boolean;
}

/**
 * Deletes what no image needs, and what interrupted pulls have left. Deletes nothing while this process or another one adds
 * an image; those that begin meanwhile wait for it.
 */
export async function collectGarbage(
  database: ImageDatabase,
  layout: StoreLayout,
  lazy: Pick<LazyImages, "clean">,
): Promise<CollectedGarbage> {
  using collection = database.tryCollect();
  if (collection === undefined) return { images: [], blobs: 0, bytes: 0, isDeferred: true };
  // Files go after their rows: a file that nobody knows is found the next time, a row without its file is a broken image.
  const known = new Set(database.blobs().map(({ blobId }) => blobId));
  const orphans = (await layout.listBlobs()).filter((blobId) => !known.has(blobId));
  let bytes = 0;
  for (const blobId of orphans) bytes += await layout.removeBlob(blobId);
  bytes += await layout.clearIngest();
  await lazy.clean();
  await layout.links.sync(linkedNames(database));
  return { images: collection.images, blobs: orphans.length, bytes, isDeferred: false };
}
