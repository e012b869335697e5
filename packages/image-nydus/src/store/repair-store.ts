import { isLongshoreError } from "@longshore/core/errors";
import type { ImageDatabase } from "./image-database.ts";
import type { ImageRecord } from "./image-records.ts";
import type { StoreLayout } from "./store-layout.ts";
import { verifyStore, type StoreReport, type VerifyOptions } from "./verify-store.ts";

/** What became of an image that was broken. */
export interface RepairedImage {
  readonly imageId: string;
  readonly origin: string;
  /** Why it could not be fetched again; absent when it is whole again */
  readonly problem?: string | undefined;
}

export interface RepairReport {
  /** What was found before */
  readonly found: StoreReport;
  readonly images: readonly RepairedImage[];
}

export interface RepairContext {
  readonly database: ImageDatabase;
  readonly layout: StoreLayout;
  /** Fetches an image by a name for its own platform. @returns the id of what is there now */
  pull(image: ImageRecord, name: string, signal: AbortSignal | undefined): Promise<string>;
}

/**
 * Looks at everything, deletes what is broken and fetches the images again that need it: by their digest, or from where they
 * came. An image that is not there any more stays broken, and the report says so.
 */
export async function repairStore(
  context: RepairContext,
  options: VerifyOptions = {},
): Promise<RepairReport> {
  const { database, layout } = context;
  const found = await verifyStore(database, layout, options);
  // First all of them: a broken blob must not be leant on by the first image that is fetched again.
  for (const { blobId, problem } of found.problems) {
    database.forgetChunks(blobId);
    if (problem !== "missing") await layout.removeBlob(blobId);
  }
  const images: RepairedImage[] = [];
  for (const imageId of new Set(found.problems.flatMap((problem) => problem.images))) {
    const image = database.imageById(imageId);
    if (image === undefined) continue;
    const problem = await fetchAgain(context, image, options.signal);
    images.push({ imageId, origin: image.origin, ...(problem !== undefined && { problem }) });
  }
  return { found, images };
}

async function fetchAgain(
  context: RepairContext,
  image: ImageRecord,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  try {
    // Under its tag there may be another one by now.
    const byDigest = context.database.names(image.imageId).find((name) => name.includes("@"));
    const fetched = await context.pull(image, byDigest ?? image.origin, signal);
    if (fetched === image.imageId) return undefined;
    return `${image.origin} is another image now: ${fetched}`;
  } catch (error) {
    signal?.throwIfAborted();
    if (!isLongshoreError(error)) throw error;
    return error.message;
  }
}
