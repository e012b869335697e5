import type { MeterProvider } from "@opentelemetry/api";
import type {
  Abortable,
  EventBus,
  ImageClient,
  Logger,
  RootfsCommitter,
  RootfsProvider,
} from "@longshore/core";
import type { MountProbe } from "./mount/probe-mounts.ts";
import type { ImagePushes } from "./publish/image-pushes.ts";
import type { RafsFilesystem } from "./rafs/open-bootstrap.ts";
import type { RegistryClientOptions } from "./registry/client/client-options.ts";
import type { Platform } from "./registry/platform.ts";
import type { ImageMountMethod } from "./rootfs/mountable-image.ts";
import type { CollectedGarbage } from "./store/collect-garbage.ts";
import type { DiskUsage } from "./store/disk-usage.ts";
import type { ImageDiff } from "./store/image-diff.ts";
import type { ImageRecord } from "./store/image-records.ts";
import type { RepairReport } from "./store/repair-store.ts";
import type { StoreReport, VerifyOptions } from "./store/verify-store.ts";
import type { TreeLimits } from "./tree/file-tree.ts";

export interface NydusImageStoreOptions {
  /** Where the store lies; made when it is not there */
  readonly directory: string;
  /** Of the images to pull. @default Linux on this machine's processor */
  readonly platform?: Platform | undefined;
  /** How registries are reached */
  readonly registry?: RegistryClientOptions | undefined;
  /** What an image may hold */
  readonly limits?: Partial<TreeLimits> | undefined;
  /** Layers of one image that are fetched at the same time. @default 3 */
  readonly parallelLayers?: number | undefined;
  /** How images are mounted, best first. @default all that work here: the kernel, then FUSE */
  readonly mountMethods?: readonly ImageMountMethod[] | undefined;
  /**
   * How long the kernel keeps an image mounted that no root filesystem needs any more, in milliseconds: the next one is there
   * the sooner. It ends with the store, or when images are cleaned up. @default 0
   */
  readonly idleMountMs?: number | undefined;
  /**
   * Whether images that come in Nydus' form, too, are pulled as such: only their metadata at once, and their files when they
   * are read. @default true
   */
  readonly onDemand?: boolean | undefined;
  /** Gets `image.{id}.{pulling|pulled|committed|removed|read-failed}` */
  readonly events?: EventBus | undefined;
  readonly logger?: Logger | undefined;
  /** @default the global one */
  readonly meterProvider?: MeterProvider | undefined;
  readonly now?: (() => number) | undefined;
}

/** What `inspect` tells of an image. */
export interface ImageDetails {
  readonly record: ImageRecord;
  readonly names: readonly string[];
  readonly filesystem: RafsFilesystem;
  /** Whether its files are fetched when they are read */
  readonly isOnDemand: boolean;
}

/** An image store on this machine: pulls OCI and Docker images and keeps them as RAFS v6, each chunk once. */
export interface NydusImageStore extends ImageClient, RootfsProvider, RootfsCommitter, ImagePushes {
  readonly directory: string;
  /** Deletes what no image needs. @throws {LongshoreError} `IO_ERROR` */
  collectGarbage(): Promise<CollectedGarbage>;
  /** Reads everything again and compares it with its digests. */
  verify(options?: VerifyOptions): Promise<StoreReport>;
  /** Verifies, then fetches again what is broken, from where it came. */
  repair(options?: VerifyOptions): Promise<RepairReport>;
  diskUsage(): Promise<DiskUsage>;
  /** @throws {LongshoreError} `IMAGE_NOT_FOUND` */
  diff(first: string, second: string): Promise<ImageDiff>;
  /** @throws {LongshoreError} `IMAGE_NOT_FOUND` */
  inspect(ref: string): Promise<ImageDetails>;
  /** Keeps an image whatever is cleaned up. @throws {LongshoreError} `IMAGE_NOT_FOUND` */
  pin(ref: string, isPinned: boolean): Promise<void>;
  /**
   * Takes one name off an image, and with the last tag of a repository its digests there; the image goes with its last name.
   *
   * @returns whether it had the name
   */
  untag(name: string): Promise<boolean>;
  /** Shows an image read-only at an existing directory; disposing ends it. */
  mount(ref: string, target: string, options?: Abortable): Promise<ImageMount>;
  /** Fetches what is missing of an image that is loaded on demand. @throws {LongshoreError} `IMAGE_NOT_FOUND` */
  complete(ref: string, options?: Abortable): Promise<void>;
  /** How images can be mounted here. */
  probeMounts(): Promise<readonly MountProbe[]>;
}

/** An image that is shown at a directory. */
export interface ImageMount extends AsyncDisposable {
  readonly imageId: string;
  readonly target: string;
  readonly method: ImageMountMethod;
  /**
   * Resolves when this process serves the mount no longer, also after somebody else unmounted it; rejects when serving
   * broke. Absent for mounts that the kernel keeps, which stay when this process ends.
   */
  readonly ended?: Promise<void> | undefined;
}
