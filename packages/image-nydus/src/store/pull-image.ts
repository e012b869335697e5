import { existsSync } from "node:fs";
import type { PullProgress } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import type { ChunkStoreStats } from "../convert/chunk-store.ts";
import { fetchLayers } from "../convert/fetch-layers.ts";
import type { ImageLocation } from "../registry/image-location.ts";
import type { ImageSource, ResolvedImage } from "../registry/image-source.ts";
import type { Platform } from "../registry/platform.ts";
import type { TreeLimits } from "../tree/file-tree.ts";
import { acquireLease } from "./acquire-lease.ts";
import type { ImageDatabase } from "./image-database.ts";
import { asIoError } from "./io-error.ts";
import { findNydusManifest } from "../lazy/find-nydus-manifest.ts";
import { isNydusManifest } from "../lazy/nydus-manifest.ts";
import type { LazyImages } from "./lazy-images.ts";
import type { ImageRecord } from "./image-records.ts";
import { namesFor, taggedName } from "./image-names.ts";
import { pullProgress, type PullProgressReport } from "./pull-progress.ts";
import {
  storeLayers,
  type StoredFiles,
  type StoredLayer,
  type StoreLayersOptions,
} from "./store-layers.ts";
import { storeLayersInThread } from "./store-layers-in-thread.ts";
import type { StoreLayout } from "./store-layout.ts";

/** Layers that are not worth a thread, packed */
const maxBytesInPlace = 1_048_576;

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
  onConverted?(chunks: ChunkStoreStats): void;
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
  const { database, now } = context;
  const stored = await store(context, request, { resolved, progress });
  const { bootstrap, blobIds, logicalSize, inodeCount } = stored;
  context.onConverted?.(stored.chunks);
  database.addImage({
    image: {
      imageId: resolved.config.descriptor.digest,
      bootstrapId: bootstrap.blobId,
      manifestDigest: resolved.manifest.descriptor.digest,
      manifest: resolved.manifest.bytes.toString("utf8"),
      config: resolved.config.bytes.toString("utf8"),
      logicalSize,
      inodeCount,
      pulledAtMs: now(),
      origin: request.text,
    },
    names,
    blobs: [bootstrap],
    blobIds,
  });
  return bootstrap.blobId;
}

function store(
  context: PullContext,
  { source, signal }: PullRequest,
  { resolved, progress }: Pick<NewImageParts, "resolved" | "progress">,
): Promise<StoredFiles> {
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
  progress.step("download");
  async function* openLayers(whileFeeding: AbortSignal): AsyncGenerator<StoredLayer> {
    const fetched = fetchLayers(source, layers, {
      signal: whileFeeding,
      parallel: context.parallelLayers,
      createScratch: () => layout.createIngest(),
      onReceived: (layer, bytes) => {
        progress.received(layer, bytes);
      },
    });
    let layer = 0;
    for await (const content of fetched) {
      yield { diffId: diffIds[layer] ?? "", mediaType: layers[layer]?.mediaType ?? "", content };
      layer += 1;
    }
  }
  const options: StoreLayersOptions = {
    signal,
    limits,
    onLayer: (layer) => {
      progress.converted(layer);
      if (layer === layers.length - 1) progress.step("convert");
    },
  };
  const packedBytes = layers.reduce((sum, { size }) => sum + size, 0);
  return packedBytes <= maxBytesInPlace
    ? storeLayers(context, openLayers(signal), options)
    : storeLayersInThread(layout.directory, openLayers, options);
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
