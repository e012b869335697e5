import { readFile } from "node:fs/promises";
import { openBootstrap, type RafsFilesystem } from "../rafs/open-bootstrap.ts";
import type { StoreLayout } from "./store-layout.ts";

/**
 * Opens an image's metadata that a store has.
 *
 * @throws what reading the file and {@link openBootstrap} throw
 */
export async function openStoredBootstrap(
  layout: StoreLayout,
  bootstrapId: string,
): Promise<RafsFilesystem> {
  return openBootstrap(await readFile(layout.blobPath(bootstrapId)));
}
