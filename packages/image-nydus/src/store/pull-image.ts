import { existsSync } from "node:fs";
import { LongshoreError, type PullProgress } from "@longshore/core";
import {
  convertLayers,
  type ConvertedImage,
  type ConvertOptions,
  type LayerTar,
} from "../convert/convert-layers.ts";
import { fetchLayers } from "../convert/fetch-layers.ts";
import { fileSink } from "../rafs/byte-sink.ts";
import { writeBootstrap } from "../rafs/write-bootstrap.ts";
import type { ImageLocation } from "../registry/image-location.ts";
import type { ImageSource, ResolvedImage } from "../registry/image-source.ts";
import { layerDecompressor } from "../registry/layer-decompressor.ts";
import type { Platform } from "../registry/platform.ts";
import { defaultTreeLimits, type TreeLimits } from "../tree/file-tree.ts";
import { acquireLease } from "./acquire-lease.ts";
import type { ImageDatabase } from "./image-database.ts";
import { asIoError } from "./io-error.ts";
import { findNydusManifest } from "../lazy/find-nydus-manifest.ts";
import { isNydusManifest } from "../lazy/nydus-manifest.ts";
import type { LazyImages } from "./lazy-images.ts";
import type { BlobRecord, ImageRecord } from "./image-records.ts";
import { namesFor, taggedName } from "./image-names.ts";
import { pullProgress, type PullProgressReport } from "./pull-progress.ts";
import type { IngestFile, StoreLayout } from "./store-layout.ts";

export interface PullContext {
  readonly database: ImageDatabase;
  readonly layout: StoreLayout;
  readonly platform: Platform;
  readonly limits?: Partial<TreeLimits> | undefined;
  readonly parallelLayers?: number | undefined;
  readonly now: () => number;
  /** Takes images in that can be loaded on demand; absent: all images are fetched whole */
  readonly lazy?: LazyImages | undefined;
  /** The image is known, and is going to be fetched. */
  onPulling?(imageId: string): void;
  /** What came of the chunks of a new image */
  onConverted?(image: ConvertedImage): void;
}

export interface PullRequest {
  /** Where the image is, as the user wrote it */
  readonly text: string;
  readonly location: ImageLocation;
  readonly source: ImageSource;
  readonly signal: AbortSignal;
  report(progress: PullProgress): void;
}

/**
 * Brings an image into the store, unless it is there, and gives it its names.
 *
 * @returns the image's id
 * @throws {LongshoreError} `IO_ERROR` when the store cannot be written, e.g. for want of room; what the source throws
 */
export async function pullImage(context: PullContext, request: PullRequest): Promise<string> {
  try {
    return await pull(context, request);
  } catch (error) {
    throw asIoError(error, `pull ${request.source.name}`);
  }
}

async function pull(context: PullContext, request: PullRequest): Promise<string> {
  const { database, layout } = context;
  const { source, signal, location } = request;
  // From here on nothing is collected, whatever this image is going to lean on.
  using _lease = await acquireLease(database, `pull ${source.name}`, signal);
  request.report({ phase: "resolve", receivedBytes: 0 });
  const resolved = await source.resolve({ platform: context.platform, signal });
  const names = namesFor(location, resolved.digest);
  const progress = pullProgress(resolved.layers, request.report);
  const { imageId, bootstrapId } =
    (await addOnDemand(context, request, { resolved, names })) ??
    (await addWhole(context, request, { resolved, names, progress }));
  // All of the image's names: its metadata may have moved.
  for (const name of database.names(imageId)) {
    const tagged = taggedName(name);
    if (tagged !== undefined) await layout.links.link({ name: tagged, imageId, bootstrapId });
  }
  progress.step("done");
  return imageId;
}

interface AddedImage {
  readonly imageId: string;
  readonly bootstrapId: string;
}

/** Takes in the Nydus form of the image; `undefined` when it has none that can be loaded on demand. */
async function addOnDemand(
  context: PullContext,
  { source, signal, text }: PullRequest,
  { resolved, names }: Pick<NewImageParts, "resolved" | "names">,
): Promise<AddedImage | undefined> {
  const { lazy, database } = context;
  const { manifest, index } = resolved;
  if (lazy === undefined) {
    if (!isNydusManifest(manifest.manifest)) return undefined;
    throw new LongshoreError(
      "VALIDATION_ERROR",
      `${source.name} is a Nydus image, which is loaded on demand; this store does not do that.`,
    );
  }
  const found = await findNydusManifest(
    source,
    {
      top: index ?? manifest,
      original: manifest.descriptor,
    },
    { platform: context.platform, signal },
  );
  if (found === undefined) return undefined;
  const imageId = found.manifest.config.digest;
  const known = database.imageById(imageId);
  if (known !== undefined && isComplete(context, known)) {
    database.addNames(imageId, names);
    return known;
  }
  context.onPulling?.(imageId);
  return lazy.add({ source, manifest: found, names, origin: text, signal });
}

async function addWhole(
  context: PullContext,
  request: PullRequest,
  parts: NewImageParts,
): Promise<AddedImage> {
  const imageId = parts.resolved.config.descriptor.digest;
  const known = context.database.imageById(imageId);
  if (known !== undefined && isComplete(context, known)) {
    context.database.addNames(imageId, parts.names);
    return known;
  }
  context.onPulling?.(imageId);
  return { imageId, bootstrapId: await addImage(context, request, parts) };
}

interface NewImageParts {
  readonly resolved: ResolvedImage;
  readonly names: readonly string[];
  readonly progress: PullProgressReport;
}

/** Fetches and converts the image; the last step makes all of it known at once. */
async function addImage(
  context: PullContext,
  request: PullRequest,
  { resolved, names, progress }: NewImageParts,
): Promise<string> {
  const { database, layout, now } = context;
  await using data = await layout.createIngest();
  const converted = await convert(context, request, { resolved, progress, data });
  context.onConverted?.(converted);
  progress.step("convert");
  await using metadata = await layout.createIngest();
  const { blob, reusedBlobIds } = converted;
  const reused = reusedBlobIds.map((blobId) => requireInfo(database, blobId));
  const [bootstrap] = await Promise.all([
    writeBootstrap(
      fileSink(metadata.file),
      { root: converted.root, blobs: [...(blob === undefined ? [] : [blob]), ...reused] },
      { signal: request.signal },
    ),
    // The disk gets to work meanwhile; what installs the blob has less to wait for.
    data.file.datasync(),
  ]);
  request.signal.throwIfAborted();
  const blobs: (BlobRecord & { readonly chunks: readonly (typeof converted.added)[number][] })[] = [
    {
      blobId: bootstrap.digest,
      kind: "bootstrap",
      dataSize: bootstrap.size,
      storedSize: bootstrap.size,
      chunks: [],
    },
  ];
  if (blob !== undefined) {
    await data.install(blob.id);
    const { id, uncompressedSize, compressedSize, chunkCount, compressor, digester } = blob;
    const { chunkTable, features, dataSize } = blob;
    blobs.push({
      blobId: id,
      kind: "data",
      dataSize,
      storedSize: compressedSize,
      info: {
        id,
        uncompressedSize,
        compressedSize,
        chunkCount,
        compressor,
        digester,
        chunkTable,
        features,
      },
      chunks: converted.added,
    });
  }
  await metadata.install(bootstrap.digest);
  database.addImage({
    image: {
      imageId: resolved.config.descriptor.digest,
      bootstrapId: bootstrap.digest,
      manifestDigest: resolved.manifest.descriptor.digest,
      manifest: resolved.manifest.bytes.toString("utf8"),
      config: resolved.config.bytes.toString("utf8"),
      logicalSize: converted.logicalSize,
      inodeCount: converted.inodeCount,
      pulledAtMs: now(),
      origin: request.text,
    },
    names,
    blobs,
    blobIds: [...(blob === undefined ? [] : [blob.id]), ...reusedBlobIds],
  });
  return bootstrap.digest;
}

interface ConversionParts {
  readonly resolved: ResolvedImage;
  readonly progress: PullProgressReport;
  readonly data: IngestFile;
}

function convert(
  context: PullContext,
  { source, signal }: PullRequest,
  { resolved, progress, data }: ConversionParts,
): Promise<ConvertedImage> {
  const { layout, limits } = context;
  const { layers } = resolved;
  const diffIds = resolved.config.file.rootfs.diff_ids;
  if (diffIds.length !== layers.length) {
    throw new LongshoreError(
      "VALIDATION_ERROR",
      `The image has ${layers.length} layers; its configuration names ${diffIds.length}.`,
      { details: { layers: layers.length, diffIds: diffIds.length } },
    );
  }
  const maxBytes = maxLayerBytes({ ...defaultTreeLimits, ...limits });
  progress.step("download");
  async function* tars(): AsyncGenerator<LayerTar> {
    const fetched = fetchLayers(source, layers, {
      signal,
      parallel: context.parallelLayers,
      createScratch: () => layout.createIngest(),
      onReceived: (layer, bytes) => {
        progress.received(layer, bytes);
      },
    });
    let layer = 0;
    for await (const stored of fetched) {
      const decompress = layerDecompressor(layers[layer]?.mediaType ?? "", { maxBytes });
      yield { diffId: diffIds[layer] ?? "", content: decompress(stored) };
      layer += 1;
    }
  }
  return convertLayers(tars(), {
    signal,
    blob: fileSink(data.file),
    findChunk: findStoredChunk(context),
    limits,
    onLayer: (layer) => {
      progress.converted(layer);
    },
  });
}

/**
 * Bytes that an archive within the limits can have, with headers and padding; what follows its end is read, too, and must
 * not go on for ever.
 */
function maxLayerBytes({ maxFileBytes, maxEntries, maxMetadataBytes }: TreeLimits): number {
  return maxFileBytes + maxMetadataBytes + maxEntries * 16_384 + 1_048_576;
}

function requireInfo(database: ImageDatabase, blobId: string) {
  const info = database.blob(blobId)?.info;
  if (info !== undefined) return info;
  throw new LongshoreError("INTERNAL_ERROR", `The store knows nothing of blob ${blobId}.`);
}

/** Whether all files of an image are there; what is in them is for `verify` to say. */
function isComplete({ database, layout }: PullContext, { bootstrapId }: ImageRecord): boolean {
  return (
    existsSync(layout.blobPath(bootstrapId)) &&
    database
      .blobsOf(bootstrapId)
      .every(({ blobId, kind }) => kind === "remote" || existsSync(layout.blobPath(blobId)))
  );
}

/** Finds chunks in blobs whose files are there: no image may lean on one that someone has deleted. */
function findStoredChunk({ database, layout }: PullContext): ConvertOptions["findChunk"] {
  const isThere = new Map<string, boolean>();
  return (digest) => {
    const place = database.findChunk(digest);
    if (place === undefined) return undefined;
    const { blobId } = place;
    const there = isThere.get(blobId) ?? existsSync(layout.blobPath(blobId));
    isThere.set(blobId, there);
    return there ? place : undefined;
  };
}
