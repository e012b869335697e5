import type { Abortable } from "@longshore/core";
import type { Descriptor } from "./manifest.ts";

/** How a blob came to be where it should be. */
export type BlobOutcome = "written" | "exists" | "mounted";

export interface WriteBlobOptions extends Abortable {
  /** Repository of the same registry that may have the blob: `library/alpine` */
  readonly mountFrom?: string | undefined;
}

export interface WriteManifestOptions extends Abortable {
  /** Give the manifest the name that the target was opened with; else only its digest leads to it. @default "digest" */
  readonly as?: "name" | "digest" | undefined;
}

/** The bytes of a manifest or an index, ready to be written. */
export interface ManifestBytes {
  readonly bytes: Buffer;
  readonly mediaType: string;
}

/**
 * Where images are written to: a registry, an OCI layout directory or an archive. Blobs come before the manifests that
 * name them, manifests before their index. Blobs may be written at the same time.
 *
 * Calls may reject with `REGISTRY_AUTH_FAILED`, `IMAGE_CHECKSUM_MISMATCH` when the bytes are not those of the descriptor,
 * `VALIDATION_ERROR`, and `IMAGE_PULL_FAILED` for what may work another time.
 */
export interface ImageTarget extends AsyncDisposable {
  /** Full name, for messages */
  readonly name: string;
  /** Whether it can hold images of several platforms under one name */
  readonly takesIndexes: boolean;
  /**
   * Writes a blob that is not there yet. Its size and digest are checked before it becomes visible.
   *
   * @param content gives the bytes; asked again when they have to be sent again
   */
  writeBlob(
    descriptor: Descriptor,
    content: () => AsyncIterable<Buffer>,
    options?: WriteBlobOptions,
  ): Promise<BlobOutcome>;
  /** Writes a manifest or an index and resolves to its descriptor. */
  writeManifest(manifest: ManifestBytes, options?: WriteManifestOptions): Promise<Descriptor>;
  /** Makes everything durable, and names visible in directories and archives. Without it, disposing leaves them as they were. */
  finish(options?: Abortable): Promise<void>;
}
