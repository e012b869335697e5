import { LongshoreError } from "@longshore/core/errors";
import type { ByteString } from "../tree/inode.ts";
import { directoryReader, type DirectoryReader } from "./directory-reader.ts";
import { erofsFault } from "./erofs-fault.ts";
import { decodeXattrs } from "./inline-xattrs.ts";
import { decodeInode, type LocatedInode } from "./inode-record.ts";
import { blockSize, inodeSlotSize, type Superblock } from "./superblock.ts";

const maxTargetSize = 4096;

/** Inodes, directories, link targets and xattrs of an EROFS image; never reads outside of it. */
export interface MetadataReader {
  /** @throws {LongshoreError} `NOT_FOUND` for a number outside of the image, `IMAGE_CHECKSUM_MISMATCH` for no inode */
  inode(nid: number): LocatedInode;
  directory(inode: LocatedInode): DirectoryReader;
  linkTarget(inode: LocatedInode): ByteString;
  xattrs(inode: LocatedInode): ReadonlyMap<ByteString, Buffer>;
}

/** Reads the metadata of an image whose superblock was checked. */
export function metadataReader(image: Buffer, superblock: Superblock): MetadataReader {
  const metaOffset = superblock.metaBlock * blockSize;
  return {
    inode(nid) {
      const offset = metaOffset + nid * inodeSlotSize;
      if (!Number.isInteger(nid) || nid < 0 || offset + inodeSlotSize > image.length) {
        throw new LongshoreError("NOT_FOUND", `The image has no inode ${nid}`);
      }
      return decodeInode(image, offset);
    },
    directory(inode) {
      if (inode.kind !== "directory") {
        throw new LongshoreError(
          "VALIDATION_ERROR",
          `The inode at byte ${inode.offset} is no directory`,
        );
      }
      if (inode.size === 0 || inode.size > image.length) {
        throw erofsFault("directory-size", `a directory has ${inode.size} bytes`);
      }
      return directoryReader(inode.size, (index) => flatBlock(image, inode, index));
    },
    linkTarget(inode) {
      if (inode.kind !== "symlink") {
        throw new LongshoreError(
          "VALIDATION_ERROR",
          `The inode at byte ${inode.offset} is no symlink`,
        );
      }
      if (inode.size === 0 || inode.size > maxTargetSize) {
        throw erofsFault("symlink-size", `a symlink has a target of ${inode.size} bytes`);
      }
      const target = flatBlock(image, inode, 0).toString("latin1");
      if (target.includes("\0"))
        throw erofsFault("symlink-size", "a symlink's target has a zero byte");
      return target;
    },
    xattrs(inode) {
      const at = inode.offset + inode.headSize;
      return decodeXattrs(image.subarray(at, at + inode.xattrSize));
    },
  };
}

/** One block of data that lies in the image itself. */
function flatBlock(image: Buffer, inode: LocatedInode, index: number): Buffer {
  const length = Math.min(blockSize, inode.size - index * blockSize);
  const inTail = inode.layout === "inline" && length < blockSize;
  const start = inTail
    ? inode.offset + inode.headSize + inode.xattrSize
    : (inode.detail + index) * blockSize;
  if (inode.layout === "chunked") {
    throw erofsFault("inode-format", "a directory or symlink is stored in chunks");
  }
  if (inTail && (start % blockSize) + length > blockSize) {
    throw erofsFault("inline-data", "data behind an inode crosses the end of its block");
  }
  if (start + length > image.length) {
    throw erofsFault("data-range", "data of a directory or symlink lies outside of the image");
  }
  return image.subarray(start, start + length);
}
