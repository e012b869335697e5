import type { Abortable } from "../abortable.ts";
import type { PodSandboxConfig } from "../runtime/pod-sandbox.ts";
import type { FilesystemUsage } from "../runtime/stats.ts";
import type { AuthConfig, Image, ImageFilter, ImageSpec } from "./image.ts";

/** How far one layer of an image has come. */
export interface LayerProgress {
  /** Digest of the layer as it is stored in the registry */
  readonly digest: string;
  readonly receivedBytes: number;
  readonly totalBytes: number;
  /** Whether its files are in the image */
  readonly isDone: boolean;
}

/** How far a pull has come. */
export interface PullProgress {
  readonly phase: "resolve" | "download" | "convert" | "done";
  /** Bytes received so far, of all layers */
  readonly receivedBytes: number;
  /** Absent until the layers are known */
  readonly totalBytes?: number | undefined;
  /** Each layer, lowest first; absent until they are known */
  readonly layers?: readonly LayerProgress[] | undefined;
}

export interface PullImageRequest {
  readonly image: ImageSpec;
  readonly auth?: AuthConfig | undefined;
  /** The sandbox the image is for; context only */
  readonly sandboxConfig?: PodSandboxConfig | undefined;
}

export interface PullImageOptions extends Abortable {
  /** Called now and then; must not throw. Not part of the CRI. */
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
}

export interface ImageStatusResponse {
  /** Absent when the image is not in the store */
  readonly image?: Image | undefined;
  /** Each value a JSON text */
  readonly info?: Readonly<Record<string, string>> | undefined;
}

export interface ImageFsInfo {
  readonly imageFilesystems: readonly FilesystemUsage[];
  /** Where writable layers lie, when that is elsewhere */
  readonly containerFilesystems: readonly FilesystemUsage[];
}

/**
 * The image store: the ImageService of the Kubernetes CRI v1, its names in camelCase.
 *
 * Names are completed as Docker does: `alpine` is `docker.io/library/alpine:latest`. A digest wins over a tag. Every call
 * may reject with `RUNTIME_UNAVAILABLE`, and with `VALIDATION_ERROR` for a reference that is not one.
 */
export interface ImageClient extends AsyncDisposable {
  listImages(filter?: ImageFilter, options?: Abortable): Promise<readonly Image[]>;
  /** An image that is not there is an answer, not an error. */
  imageStatus(
    request: { readonly image: ImageSpec; readonly verbose?: boolean | undefined },
    options?: Abortable,
  ): Promise<ImageStatusResponse>;
  /**
   * Brings an image into the store and resolves to its id. Pulls of one image at the same time are one pull; it goes on
   * while any caller waits for it. Everything is checked against its digest.
   *
   * @throws {LongshoreError} `IMAGE_NOT_FOUND`, `REGISTRY_AUTH_FAILED`, `IMAGE_CHECKSUM_MISMATCH`, and
   *   `IMAGE_PULL_FAILED` for what may work another time, e.g. a registry that does not answer
   */
  pullImage(request: PullImageRequest, options?: PullImageOptions): Promise<string>;
  /** Removes the image with all its names. Idempotent; containers that use it go on. */
  removeImage(image: ImageSpec, options?: Abortable): Promise<void>;
  imageFsInfo(options?: Abortable): Promise<ImageFsInfo>;
}
