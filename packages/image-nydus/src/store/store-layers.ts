import type { ChunkStoreStats } from "../convert/chunk-store.ts";
import { convertLayers, type LayerTar } from "../convert/convert-layers.ts";
import { fileSink } from "../rafs/byte-sink.ts";
import { writePackedBootstrap } from "../rafs/write-packed-bootstrap.ts";
import { layerDecompressor } from "../registry/layer-decompressor.ts";
import { defaultTreeLimits, type TreeLimits } from "../tree/file-tree.ts";
import { requireBlobInfo } from "./image-database.ts";
import type { BlobRecord } from "./image-records.ts";
import { dataRecord, findStoredChunk, type StorePlace } from "./stored-data.ts";

/** A layer on its way into the store. */
export interface StoredLayer {
  /** Digest that the uncompressed bytes must have, `sha256:…` */
  readonly diffId: string;
  readonly mediaType: string;
  /** The bytes as the registry has them, compressed or not */
  readonly content: AsyncIterable<Uint8Array>;
}

/** What the store has of an image that it does not list yet. */
export interface StoredFiles {
  readonly bootstrap: BlobRecord;
  /** Everything that the files need besides */
  readonly blobIds: readonly string[];
  /** Bytes of all files; hard links count once */
  readonly logicalSize: number;
  readonly inodeCount: number;
  readonly chunks: ChunkStoreStats;
}

export interface StoreLayersOptions {
  readonly signal: AbortSignal;
  readonly limits?: Partial<TreeLimits> | undefined;
  /** A layer is in the tree. @param layer its number, from 0 */
  onLayer?(layer: number): void;
}

/**
 * Converts layers, puts the files among the blobs and makes the chunks known. Whoever calls holds a lease, and lists the
 * image afterwards: until then, a clean-up takes all of it back.
 */
export async function storeLayers(
  { database, layout }: StorePlace,
  layers: AsyncIterable<StoredLayer>,
  options: StoreLayersOptions,
): Promise<StoredFiles> {
  const { signal, limits } = options;
  await using data = await layout.createIngest();
  await using scratch = await layout.createIngest();
  const converted = await convertLayers(tars(layers, limits), {
    signal,
    blob: fileSink(data.file),
    scratch: scratch.file,
    findChunk: findStoredChunk({ database, layout }),
    limits,
    onLayer: (layer) => options.onLayer?.(layer),
  });
  await using metadata = await layout.createIngest();
  const { tree, blob, reusedBlobIds, chunks } = converted;
  const reused = reusedBlobIds.map((blobId) => requireBlobInfo(database, blobId));
  const [bootstrap] = await Promise.all([
    writePackedBootstrap(
      fileSink(metadata.file),
      { tree, blobs: [...(blob === undefined ? [] : [blob]), ...reused] },
      { signal },
    ),
    // The disk gets to work meanwhile; what installs the blob has less to wait for.
    data.file.datasync(),
  ]);
  signal.throwIfAborted();
  if (blob !== undefined) {
    await data.install(blob.id);
    database.addBlob(dataRecord(blob));
    await database.addChunks(blob.id, tree.chunks.inBlob(blob.name), { signal });
  }
  await metadata.install(bootstrap.digest);
  return {
    bootstrap: {
      blobId: bootstrap.digest,
      kind: "bootstrap",
      dataSize: bootstrap.size,
      storedSize: bootstrap.size,
    },
    blobIds: [...(blob === undefined ? [] : [blob.id]), ...reusedBlobIds],
    logicalSize: bootstrap.fileBytes,
    inodeCount: bootstrap.inodeCount,
    chunks,
  };
}

async function* tars(
  layers: AsyncIterable<StoredLayer>,
  limits: Partial<TreeLimits> | undefined,
): AsyncGenerator<LayerTar> {
  const maxBytes = maxLayerBytes({ ...defaultTreeLimits, ...limits });
  for await (const { diffId, mediaType, content } of layers) {
    yield { diffId, content: layerDecompressor(mediaType, { maxBytes })(content) };
  }
}

/**
 * Bytes that an archive within the limits can have, with headers and padding; what follows its end is read, too, and must
 * not go on for ever.
 */
function maxLayerBytes({ maxFileBytes, maxEntries, maxMetadataBytes }: TreeLimits): number {
  return maxFileBytes + maxMetadataBytes + maxEntries * 16_384 + 1_048_576;
}
