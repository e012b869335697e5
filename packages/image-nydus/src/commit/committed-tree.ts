import type { FileHandle } from "node:fs/promises";
import type { Abortable, RootfsIdMappings } from "@longshore/core";
import { bufferedSink } from "../convert/buffered-sink.ts";
import { chunkStore, type ChunkStoreOptions } from "../convert/chunk-store.ts";
import type { BlobReader } from "../mount/blob-reader.ts";
import { chunkSource } from "../publish/chunk-source.ts";
import { readTree } from "../publish/read-tree.ts";
import { blobWriter, type FinishedBlob } from "../rafs/blob-writer.ts";
import { fileSink } from "../rafs/byte-sink.ts";
import type { RafsFilesystem } from "../rafs/open-bootstrap.ts";
import { applyLayer } from "../tree/apply-layer.ts";
import {
  createTree,
  defaultTreeLimits,
  type FileTree,
  type TreeLimits,
} from "../tree/file-tree.ts";
import type { ChunkRef } from "../tree/inode.ts";
import { countTree } from "../tree/walk-tree.ts";
import { layerEntries } from "./layer-entries.ts";
import { ownersOfImage } from "./owners-of-image.ts";
import { scanDirectory } from "./scan-directory.ts";

/** The image that a root filesystem was made of. */
export interface BaseImage {
  readonly filesystem: RafsFilesystem;
  readonly blobs: BlobReader;
  /** Whether its blobs are not the store's own, so that their chunks have to be taken in */
  readonly isLazy: boolean;
}

/** What was made of it. */
export interface ChangedFiles {
  readonly directory: string;
  /** Whether it holds changes to the image; else it holds all files */
  readonly isOverlay: boolean;
  readonly idMappings?: RootfsIdMappings | undefined;
}

export interface CommitTreeOptions extends Abortable {
  /** Takes the bytes that are new */
  readonly data: FileHandle;
  readonly findChunk: ChunkStoreOptions["findChunk"];
  readonly limits?: Partial<TreeLimits> | undefined;
}

/** All files of the new image. */
export interface CommittedTree {
  readonly tree: FileTree;
  readonly chunkSize: number;
  /** Absent when all bytes were in the store */
  readonly blob: FinishedBlob | undefined;
  readonly reusedBlobIds: readonly string[];
  readonly logicalSize: number;
  readonly inodeCount: number;
}

/** An image may lean on 254 blobs. One that leans on more than this gets all its bytes in a blob of its own. */
const maxLeaning = 200;

/**
 * Makes the tree of an image and of what was changed in it, and takes in the bytes that are new.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` beyond the limits; what reading throws
 */
export async function committedTree(
  base: BaseImage,
  changes: ChangedFiles,
  options: CommitTreeOptions,
): Promise<CommittedTree> {
  const { signal, data, limits } = options;
  const { filesystem, isLazy } = base;
  const { chunkSize } = filesystem;
  const isWhole = isLazy || filesystem.blobs.length > maxLeaning;
  const sink = bufferedSink(fileSink(data));
  const writer = blobWriter(sink, { chunkSize });
  const tree = createTree();
  const store = chunkStore({
    writer,
    chunks: tree.chunks,
    chunkSize,
    findChunk: isWhole && !isLazy ? () => undefined : options.findChunk,
    maxReusedBlobs: isWhole ? maxLeaning : 250 - filesystem.blobs.length,
  });
  if (changes.isOverlay) {
    await readBase(tree, base, { signal, takeIn: isWhole ? store.storeFile : undefined });
  }
  const { maxEntries } = { ...defaultTreeLimits, ...limits };
  const { isOverlay, idMappings } = changes;
  const files = scanDirectory(changes.directory, { maxEntries, signal });
  const entries = layerEntries(files, { isOverlay, idMappings });
  const keepsOwners = isOverlay || process.getuid?.() === 0;
  await applyLayer(tree, keepsOwners ? entries : ownersOfImage(entries, filesystem), {
    storeFile: store.storeFile,
    signal,
    limits,
  });
  const blob = writer.chunkCount === 0 ? undefined : await writer.finish();
  await sink.flush();
  const { inodes, bytes, blobIds } = countTree(tree);
  return {
    tree,
    chunkSize,
    blob,
    reusedBlobIds: [...blobIds].filter((id) => id !== blob?.name),
    logicalSize: bytes,
    inodeCount: inodes,
  };
}

interface ReadBaseOptions extends Abortable {
  /** Stores bytes anew; absent: chunks stay where they are */
  readonly takeIn: ReturnType<typeof chunkStore>["storeFile"] | undefined;
}

/** Reads the image into an empty tree. */
async function readBase(
  tree: FileTree,
  { filesystem, blobs }: BaseImage,
  { signal, takeIn }: ReadBaseOptions,
): Promise<void> {
  const chunks = chunkSource(blobs, filesystem);
  const mapChunk = async (chunk: ChunkRef): Promise<ChunkRef> => {
    if (takeIn === undefined) return chunk;
    const { bytes } = await chunks.read(chunk);
    const [taken] = await takeIn(contentOf(bytes));
    return taken === undefined ? chunk : tree.chunks.at(taken);
  };
  await readTree(filesystem, mapChunk, { signal, into: tree });
  const { names, bytes, metadataBytes } = countTree(tree);
  Object.assign(tree.usage, { entries: names, fileBytes: bytes, metadataBytes });
}

async function* contentOf(bytes: Buffer) {
  yield { kind: "data", bytes } as const;
}
