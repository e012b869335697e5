import type { Abortable } from "@longshore/core";
import type { ImageConfigFile } from "./image-config-file.ts";
import type { AnyManifest, Descriptor, IndexDocument, ManifestDocument } from "./manifest.ts";
import type { Platform } from "./platform.ts";
import type { BlobStart } from "./verified-stream.ts";

export interface ResolveOptions extends Abortable {
  /** @default Linux on this machine's processor */
  readonly platform?: Platform | undefined;
  /** Choose among entries of this type in an index, not among ordinary images */
  readonly artifactType?: string | undefined;
}

/** An image for one platform: its documents, all checked against their digests. */
export interface ResolvedImage {
  /** What the name stands for: the digest of `index`, or of `manifest` when there is no index */
  readonly digest: string;
  /** The outermost index that the image was chosen from */
  readonly index?: IndexDocument | undefined;
  readonly manifest: ManifestDocument;
  readonly config: ConfigDocument;
  /** Lowest first */
  readonly layers: readonly Descriptor[];
}

export interface ConfigDocument {
  readonly descriptor: Descriptor;
  /** As they came: what the digest, and with it the image's id, is of */
  readonly bytes: Buffer;
  readonly file: ImageConfigFile;
}

export interface OpenBlobOptions extends Abortable, BlobStart {}

export interface BlobRange {
  /** First byte */
  readonly offset: number;
  /** Bytes; the range must lie inside of the blob */
  readonly length: number;
}

export interface ListReferrersOptions extends Abortable {
  /** Only these */
  readonly artifactType?: string | undefined;
}

/**
 * One image name and what it leads to, in a registry, an OCI layout or an archive. Calls may run at the same time.
 *
 * Every call may reject with `IMAGE_NOT_FOUND`, `REGISTRY_AUTH_FAILED`, `IMAGE_CHECKSUM_MISMATCH`, `VALIDATION_ERROR` for
 * documents that are wrong, and `IMAGE_PULL_FAILED` for what may work another time. Disposing ends what is under way.
 */
export interface ImageSource extends AsyncDisposable {
  /** Full name, for messages */
  readonly name: string;
  /**
   * Finds the image for a platform. There is no second best: without a match the error lists the platforms there are.
   */
  resolve(options?: ResolveOptions): Promise<ResolvedImage>;
  /** The manifest or index that a descriptor points to; without one, what the name stands for. */
  fetchManifest(
    descriptor?: Pick<Descriptor, "digest" | "mediaType" | "size">,
    options?: Abortable,
  ): Promise<AnyManifest>;
  /**
   * A blob's bytes, all of them checked: the last piece comes only when size and digest are right. Broken connections
   * are continued where they broke. Nothing happens before the first piece is asked for.
   */
  openBlob(descriptor: Descriptor, options?: OpenBlobOptions): AsyncIterable<Buffer>;
  /** Some bytes out of a blob. They cannot be checked against its digest: the caller has to know what they should be. */
  readRange(descriptor: Descriptor, range: BlobRange, options?: Abortable): Promise<Buffer>;
  /** Manifests whose `subject` is this digest. */
  listReferrers(digest: string, options?: ListReferrersOptions): Promise<readonly Descriptor[]>;
  /** All names beside this one: tags of the repository, or names in the directory or archive. */
  listTags(options?: Abortable): Promise<readonly string[]>;
}
