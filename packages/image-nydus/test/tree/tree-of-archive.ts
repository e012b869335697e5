import { applyLayer, type ApplyLayerOptions } from "../../src/tree/apply-layer.ts";
import { createTree, type FileTree } from "../../src/tree/file-tree.ts";
import { readTar } from "../../src/tar/tar-reader.ts";
import { inChunks } from "../tar/tar-blocks.ts";
import type { FileListing } from "./file-listing.ts";
import { listTree } from "./list-tree.ts";
import { memoryChunkStore } from "./memory-chunk-store.ts";

/** Applies archives as layers, the lowest first, and lists the tree they make. */
export async function listLayers(
  archives: readonly (Buffer | AsyncIterable<Uint8Array>)[],
  limits: ApplyLayerOptions["limits"] = {},
): Promise<FileListing> {
  const tree: FileTree = createTree();
  const store = memoryChunkStore(tree.chunks);
  for (const archive of archives) {
    const source = Buffer.isBuffer(archive) ? inChunks(archive) : archive;
    await applyLayer(tree, readTar(source), { storeFile: store.storeFile, limits });
  }
  return listTree(tree, store.sha256Of);
}
