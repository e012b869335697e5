import type { Abortable, AuthConfig } from "@longshore/core";
import { isLongshoreError } from "@longshore/core/errors";
import { isCommitOrigin } from "../commit/commit-origin.ts";
import { isNydusManifest } from "../lazy/nydus-manifest.ts";
import type { BlobReader } from "../mount/blob-reader.ts";
import { localBlobReader } from "../mount/local-blob-reader.ts";
import type { RegistryClient } from "../registry/client/registry-client.ts";
import { configPlatform, parseImageConfigFile } from "../registry/image-config-file.ts";
import { parseImageSource, type ImageLocation } from "../registry/image-location.ts";
import type { ImageSource } from "../registry/image-source.ts";
import { parseManifest, type ManifestDocument } from "../registry/manifest.ts";
import { openImageSource, openImageTarget } from "../registry/open-image-source.ts";
import type { Platform } from "../registry/platform.ts";
import { invalid } from "../registry/registry-errors.ts";
import { acquireLease } from "../store/acquire-lease.ts";
import { requireImage } from "../store/find-image.ts";
import type { ImageDatabase } from "../store/image-database.ts";
import type { ImageRecord } from "../store/image-records.ts";
import type { LazyImages } from "../store/lazy-images.ts";
import { openStoredBootstrap } from "../store/open-stored-bootstrap.ts";
import type { StoreLayout } from "../store/store-layout.ts";
import { attachNydus, type AttachedNydus, type NydusAttachment } from "./attach-nydus.ts";
import type { LayerCompression } from "./pack-layer.ts";
import type { PublishedImage } from "./published-image.ts";
import { publishNydus } from "./publish-nydus.ts";
import { publishOci } from "./publish-oci.ts";
import { pushProgress, type PushProgress } from "./push-progress.ts";

/** What an image is pushed as. */
export type PushForm =
  | {
      /** An ordinary image of one layer. The default */
      readonly form?: "oci" | undefined;
      /** Of the layer. @default "gzip" */
      readonly compression?: LayerCompression | undefined;
    }
  | NydusPushForm;

/** An image that is loaded on demand. */
export interface NydusPushForm {
  readonly form: "nydus";
  /** Of the chunks. @default "zstd" */
  readonly compression?: "zstd" | "none" | undefined;
  /**
   * Also keep the ordinary image under the name: list both in an index, or let the Nydus image refer to the other one.
   * @default the name stands for the Nydus image alone
   */
  readonly attach?: NydusAttachment | undefined;
}

export interface PushAccess extends Abortable {
  /** Credentials for the target, instead of those found for it */
  readonly auth?: AuthConfig | undefined;
  /** Called now and then; must not throw */
  readonly onProgress?: ((progress: PushProgress) => void) | undefined;
}

export type PushOptions = PushAccess & PushForm;

/** An image that was pushed. */
export interface PushedImage {
  /** Full name of the target */
  readonly name: string;
  /** What the name stands for now */
  readonly digest: string;
  /** Of the manifest of the image that was made; the same as `digest` but for images that are attached to others */
  readonly manifestDigest: string;
}

export interface PushContext {
  readonly database: ImageDatabase;
  readonly layout: StoreLayout;
  readonly lazy: LazyImages;
  readonly client: RegistryClient;
  readonly platform: Platform;
  /** Opens the place that an image came from */
  openOrigin(record: ImageRecord): Promise<ImageSource>;
}

export interface PushRequest {
  /** The image in the store */
  readonly ref: string;
  readonly target: ImageLocation;
  readonly form: PushForm;
  readonly auth?: AuthConfig | undefined;
  readonly signal: AbortSignal;
  report(progress: PushProgress): void;
}

/**
 * Writes an image of the store to a registry, a directory or an archive.
 *
 * @throws {LongshoreError} `IMAGE_NOT_FOUND`, `VALIDATION_ERROR` for a form that the target does not take, `STATE_CONFLICT`;
 *   what packing the image and the target throw
 */
export async function pushImage(context: PushContext, request: PushRequest): Promise<PushedImage> {
  const { database, layout, client } = context;
  const { ref, target: location, form, auth, signal } = request;
  checkForm(form, location);
  // Nothing that the image needs is collected meanwhile, nor what is being packed.
  using _lease = await acquireLease(database, `push ${ref}`, signal);
  const record = requireImage(database, ref);
  const original = manifestOf(record);
  const progress = pushProgress(request.report);
  await using reader = await openReader(context, record);
  const image: PublishedImage = {
    filesystem: await openStoredBootstrap(layout, record.bootstrapId),
    blobs: reader,
    logicalSize: record.logicalSize,
    config: Buffer.from(record.config),
    annotations: original.manifest.annotations,
  };
  await using target = await openImageTarget(location, { client, auth });
  const createScratch = () => layout.createIngest();
  const common = { target, createScratch, progress, signal };

  async function publish(): Promise<AttachedNydus> {
    if (form.form !== "nydus") {
      const top = await publishOci(image, { ...common, compression: form.compression });
      return { top, nydus: top };
    }
    const { attach, compression } = form;
    if (attach === undefined) {
      const top = await publishNydus(image, { ...common, compression });
      return { top, nydus: top };
    }
    return attachNydus(attach, {
      target,
      signal,
      original: requireOrdinary(original),
      platform: configPlatform(parseImageConfigFile(image.config)) ?? context.platform,
      openPresent: () => openPresent(location, { client, auth }),
      openOrigin: () => context.openOrigin(record),
      mountFrom: repositoryBeside(record, location),
      publish: (subject) => publishNydus(image, { ...common, compression, subject, as: "digest" }),
    });
  }

  const { top, nydus } = await publish();
  await target.finish({ signal });
  progress.done();
  return { name: target.name, digest: top.digest, manifestDigest: nydus.digest };
}

function checkForm(form: PushForm, { kind }: ImageLocation): void {
  if (form.form !== "nydus") return;
  if (kind === "docker-archive") {
    throw invalid("form", "an archive of Docker holds ordinary images only: push as oci");
  }
}

function manifestOf(record: ImageRecord): ManifestDocument {
  const document = parseManifest(Buffer.from(record.manifest), undefined, record.manifestDigest);
  if (document.kind === "manifest") return document;
  throw new TypeError(`the image ${record.imageId} has an index in place of a manifest`);
}

function requireOrdinary(document: ManifestDocument): ManifestDocument {
  if (!isNydusManifest(document.manifest)) return document;
  throw invalid(
    "attach",
    "the image was pulled in Nydus' form; pull the ordinary one to attach to",
  );
}

async function openReader(
  { lazy, layout }: PushContext,
  record: ImageRecord,
): Promise<BlobReader & AsyncDisposable> {
  if (lazy.isLazy(record.bootstrapId)) return lazy.openReader(record, { records: "nothing" });
  const local = localBlobReader(layout.blobDirectory);
  return {
    read: local.read,
    [Symbol.asyncDispose]() {
      local[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

/** The target to read; `undefined` where nothing can be there yet. */
async function openPresent(
  location: ImageLocation,
  options: { readonly client: RegistryClient; readonly auth: AuthConfig | undefined },
): Promise<ImageSource | undefined> {
  // A new archive takes the place of an old one, with nothing of what that holds.
  if (location.kind === "oci-archive") return undefined;
  try {
    return await openImageSource(location, options);
  } catch (error) {
    if (isLongshoreError(error, "IMAGE_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** Where in the target's registry the image came from, if it did. */
function repositoryBeside({ origin }: ImageRecord, target: ImageLocation): string | undefined {
  if (isCommitOrigin(origin)) return undefined;
  const source = parseImageSource(origin);
  if (source.kind !== "registry" || target.kind !== "registry") return undefined;
  const [from, to] = [source.reference, target.reference];
  const isBeside = from.registry === to.registry && from.repository !== to.repository;
  return isBeside ? from.repository : undefined;
}
