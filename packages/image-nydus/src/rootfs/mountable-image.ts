import type { BlobReader } from "../mount/blob-reader.ts";
import type { MountMethod } from "../mount/probe-mounts.ts";

/** Ways to show an image as a directory, without copying it. */
export type ImageMountMethod = Extract<
  MountMethod,
  "erofs-files" | "erofs-loop" | "fuse" | "nydusd"
>;

export const imageMountMethods: readonly ImageMountMethod[] = [
  "erofs-files",
  "erofs-loop",
  "fuse",
  "nydusd",
];

/** An image that can be mounted. */
export interface MountableImage {
  readonly bootstrapId: string;
  /** Files of its blobs, in the order of the bootstrap's device table */
  readonly devices: readonly string[];
  /** Reads blobs that are not all here; absent when they are */
  readonly openReader?: (() => Promise<BlobReader & AsyncDisposable>) | undefined;
}
