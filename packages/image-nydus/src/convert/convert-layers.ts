import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { LongshoreError } from "@longshore/core/errors";
import { blobWriter, type FinishedBlob } from "../rafs/blob-writer.ts";
import type { ByteSink } from "../rafs/byte-sink.ts";
import { readTar } from "../tar/tar-reader.ts";
import { applyLayer } from "../tree/apply-layer.ts";
import { createTree, type FileTree, type TreeLimits } from "../tree/file-tree.ts";
import { ScratchSpace } from "../tree/scratch-space.ts";
import { bufferedSink } from "./buffered-sink.ts";
import { chunkStore, type ChunkStoreStats, type KnownChunk } from "./chunk-store.ts";

/** A layer to convert. */
export interface LayerTar {
  /** Digest that the uncompressed bytes must have, `sha256:…` */
  readonly diffId: string;
  /** The uncompressed bytes */
  readonly content: AsyncIterable<Buffer>;
}

export interface ConvertOptions {
  readonly signal: AbortSignal;
  /** Takes the new data blob, from its beginning */
  readonly blob: ByteSink;
  /** An empty file for what would take memory; it is needed as long as the tree is. @default memory */
  readonly scratch?: FileHandle | undefined;
  /** Bytes of a chunk. @default 1 MiB */
  readonly chunkSize?: number | undefined;
  /** Looks a chunk up among those of all other images */
  findChunk(digest: Buffer): KnownChunk | undefined;
  readonly limits?: Partial<TreeLimits> | undefined;
  /** A layer is in the tree. @param layer its number, from 0 */
  onLayer?(layer: number): void;
}

/** A tree of files whose bytes are in blobs. */
export interface ConvertedImage {
  readonly tree: FileTree;
  /** The blob that was written; absent when every chunk was known. Its chunks name it by {@link FinishedBlob.name}. */
  readonly blob: FinishedBlob | undefined;
  /** Other blobs that the files need */
  readonly reusedBlobIds: readonly string[];
  readonly chunks: ChunkStoreStats;
}

/**
 * Applies layers in order and puts their files' bytes into one new blob, except those that are known: one pass over each
 * layer, no files on disk but the blob.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when a layer is not what its digest says, `VALIDATION_ERROR` for
 *   layers that are not tar archives, lead out of the tree or exceed the limits
 */
export async function convertLayers(
  layers: AsyncIterable<LayerTar>,
  options: ConvertOptions,
): Promise<ConvertedImage> {
  const { signal, scratch, chunkSize = 1_048_576, limits } = options;
  const sink = bufferedSink(options.blob);
  const writer = blobWriter(sink, { chunkSize });
  const tree = createTree(scratch && new ScratchSpace(scratch.fd));
  const { chunks } = tree;
  const store = chunkStore({ writer, chunks, chunkSize, findChunk: options.findChunk });
  let number = 0;
  for await (const { diffId, content } of layers) {
    await using layer = hashed(content);
    await applyLayer(tree, readTar(layer.bytes, { signal }), {
      storeFile: store.storeFile,
      signal,
      limits,
    });
    await layer.finish(diffId, number);
    options.onLayer?.(number);
    number += 1;
  }
  tree.forgetIndexes();
  const blob = writer.chunkCount === 0 ? undefined : await writer.finish();
  await sink.flush();
  return {
    tree,
    blob,
    reusedBlobIds: [...store.reusedBlobIds],
    chunks: store.stats,
  };
}

/** Disposing ends the reading, wherever it is. */
interface Hashed extends AsyncDisposable {
  readonly bytes: AsyncIterable<Buffer>;
  /** Reads what the archive's reader has left, and compares. */
  finish(diffId: string, layer: number): Promise<void>;
}

function hashed(content: AsyncIterable<Buffer>): Hashed {
  const hash = createHash("sha256");
  const source = content[Symbol.asyncIterator]();
  const bytes: AsyncIterable<Buffer> = {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const read = await source.next();
        if (read.done !== true) hash.update(read.value);
        return read;
      },
      // The reader of the archive may stop at its end mark; what follows belongs to the layer all the same.
    }),
  };
  return {
    bytes,
    async finish(diffId, layer) {
      for await (const _rest of bytes);
      const actual = `sha256:${hash.digest("hex")}`;
      if (actual === diffId) return;
      throw new LongshoreError(
        "IMAGE_CHECKSUM_MISMATCH",
        `Layer ${layer} of the image unpacks to ${actual}; its configuration says ${diffId}.`,
        { details: { layer, expected: diffId, actual } },
      );
    },
    async [Symbol.asyncDispose]() {
      await source.return?.();
    },
  };
}
