import { LongshoreError } from "@longshore/core/errors";
import { blobFeatures } from "./blob-features.ts";
import { maxBlobs, type TocReference } from "./blob-table.ts";
import type { FileTree } from "../tree/file-tree.ts";
import type { DirectoryInode, Inode } from "../tree/inode.ts";
import type { ImageBlob } from "./readable-filesystem.ts";

/** A blob of an image that is being written; what `BlobWriter.finish` gives is one. */
export interface BootstrapBlob extends ImageBlob {
  /** What the chunks of the tree name it by. @default `id` */
  readonly name?: string | undefined;
  readonly toc?: TocReference | undefined;
  /** Where a chunk lies in the blob file. @default at its offset in the uncompressed space, which is so without compression */
  readonly stored?:
    | ((index: number) => { readonly offset: number; readonly size: number })
    | undefined;
}

interface ImageOfBlobs {
  /** At most 254, all with sha256; their order is the order of the devices at a mount */
  readonly blobs: readonly BootstrapBlob[];
  /** Of all files: a power of two from 4 KiB to 16 MiB. @default 1 MiB */
  readonly chunkSize?: number;
}

/** An image to write a bootstrap of. */
export interface BootstrapImage extends ImageOfBlobs {
  readonly root: DirectoryInode;
  /** Files of the tree that readers should fetch first, in order. @default none */
  readonly prefetch?: readonly Inode[];
}

/** The same, of a tree that takes little memory. */
export interface PackedImage extends ImageOfBlobs {
  readonly tree: FileTree;
  /** Inodes of the tree. @default none */
  readonly prefetch?: readonly number[];
}

/**
 * Checks the blobs of an image.
 *
 * @throws {LongshoreError} `LIMIT_EXCEEDED` for too many, `VALIDATION_ERROR` for one that no image may list
 */
export function checkBlobs(blobs: readonly BootstrapBlob[]): void {
  if (blobs.length > maxBlobs) {
    throw new LongshoreError(
      "LIMIT_EXCEEDED",
      `The image has ${blobs.length} blobs; it can have ${maxBlobs}: merge some of them`,
    );
  }
  const ids = new Set<string>();
  for (const blob of blobs) {
    const problem = problemOf(blob) ?? (ids.has(blob.id) ? "is listed twice" : undefined);
    if (problem !== undefined) {
      throw new LongshoreError("VALIDATION_ERROR", `The blob "${blob.id}" ${problem}`);
    }
    ids.add(blob.id);
  }
}

function problemOf(blob: BootstrapBlob): string | undefined {
  if (!/^[\da-f]{64}$/u.test(blob.id)) return "is not named by a sha256 in hexadecimal digits";
  if (blob.chunkCount === 0 || blob.uncompressedSize === 0) return "has no chunks";
  if (blob.uncompressedSize % 4096 !== 0) return "has a size that is no multiple of 4096";
  if (blob.uncompressedSize / 4096 > 0xffff_ffff) return "has more blocks than fit 32 bits";
  if (blob.digester !== "sha256") return `has digests of ${blob.digester}, not sha256`;
  if (!(blob.features & blobFeatures.aligned)) return "has chunks that are not aligned";
  if (blob.compressor !== "none" && blob.stored === undefined) {
    return "is compressed and does not say where its chunks lie";
  }
  return undefined;
}
