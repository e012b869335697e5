import { LongshoreError } from "@longshore/core/errors";
import { chunkIndexSize, chunkSizeOf, decodeChunkIndex } from "../erofs/chunk-index.ts";
import { alignUp } from "../erofs/align-up.ts";
import { decodeDevice } from "../erofs/file-type.ts";
import type { LocatedInode } from "../erofs/inode-record.ts";
import { metadataReader } from "../erofs/metadata-reader.ts";
import { blockSize } from "../erofs/superblock.ts";
import type { ChunkRef } from "../tree/inode.ts";
import { chunkLookup } from "./chunk-lookup.ts";
import { rafsFault } from "./rafs-fault.ts";
import { readRafsHeader } from "./rafs-header.ts";
import type { DirectoryEntry, FileStat, ReadableFilesystem } from "./readable-filesystem.ts";
import type { DirectoryName } from "../erofs/directory-blocks.ts";

/** A RAFS v6 image as a file system, with what only RAFS knows. */
export interface RafsFilesystem extends ReadableFilesystem {
  /** Inodes that the image asks to be fetched first, in order */
  readonly prefetchNids: readonly number[];
}

/**
 * Opens a RAFS v6 bootstrap, ours or of Nydus' own tools. Reads on demand and keeps the bytes; what is behind an inode is
 * checked when it is asked for.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when header or tables are damaged, with the broken rule in its
 * details; `VALIDATION_ERROR` for images over tar files, over compressed layers, with batches or with encryption
 */
export function openBootstrap(image: Buffer): RafsFilesystem {
  const { superblock, extended, blobs, prefetchNids } = readRafsHeader(image);
  const reader = metadataReader(image, superblock);
  const digests = chunkLookup(image, extended);
  const { chunkSize } = extended;

  const entry = ({ name, nid, kind }: DirectoryName): DirectoryEntry => ({
    name,
    nid,
    kind: kind ?? reader.inode(nid).kind,
  });

  const findChunk = (inode: LocatedInode, number: number): ChunkRef => {
    const count = Math.ceil(inode.size / chunkSize);
    if (!Number.isInteger(number) || number < 0 || number >= count) {
      throw new LongshoreError(
        "NOT_FOUND",
        `The file has ${count} chunks, and none of number ${number}`,
      );
    }
    const at = alignUp(inode.offset + inode.headSize + inode.xattrSize, chunkIndexSize);
    if (at + count * chunkIndexSize > image.length) {
      throw rafsFault(
        "chunk-range",
        `the chunk index of the inode at byte ${inode.offset} leaves the image`,
      );
    }
    const { high, device, block } = decodeChunkIndex(image, at + number * chunkIndexSize);
    const blobIndex = (device & 0xff) - 1;
    const blob = blobs[blobIndex];
    if (blobIndex === -1) throw rafsFault("hole", "a file has a hole in place of a chunk");
    if (blob === undefined)
      throw rafsFault("chunk-blob", `a chunk is in blob ${blobIndex} of ${blobs.length}`);
    const index = high | ((device >>> 8) << 16);
    const offset = block * blockSize;
    const size = Math.min(chunkSize, inode.size - number * chunkSize);
    if (index >= blob.chunkCount || offset + size > blob.uncompressedSize) {
      throw rafsFault("chunk-address", `a chunk lies outside of blob ${blobIndex}`);
    }
    const digest = digests.find(blobIndex, { index, offset, size });
    return { blobId: blob.id, index, offset, size, digest };
  };

  return {
    rootNid: superblock.rootNid,
    chunkSize,
    blobs,
    inodeCount: superblock.inodeCount,
    prefetchNids,
    stat: (nid) => toStat(nid, reader.inode(nid)),
    *entries(nid, after) {
      for (const name of reader.directory(reader.inode(nid)).names(after)) {
        if (name.name !== "." && name.name !== "..") yield entry(name);
      }
    },
    lookup(nid, name) {
      const directory = reader.directory(reader.inode(nid));
      const found = name === "." || name === ".." ? undefined : directory.find(name);
      return found === undefined ? undefined : entry(found);
    },
    parent(nid) {
      const found = reader.directory(reader.inode(nid)).find("..");
      if (found === undefined) throw rafsFault("directory-dots", `directory ${nid} has no parent`);
      return found.nid;
    },
    linkTarget: (nid) => reader.linkTarget(reader.inode(nid)),
    xattrs: (nid) => reader.xattrs(reader.inode(nid)),
    chunk(nid, number) {
      const inode = reader.inode(nid);
      requireChunked(inode, chunkSize);
      return findChunk(inode, number);
    },
  };
}

function requireChunked(inode: LocatedInode, chunkSize: number): void {
  if (inode.kind !== "file") {
    throw new LongshoreError(
      "VALIDATION_ERROR",
      `The inode at byte ${inode.offset} is no regular file`,
    );
  }
  if (inode.layout !== "chunked") {
    throw rafsFault("file-layout", `the file at byte ${inode.offset} is not stored in chunks`);
  }
  // One entry for each chunk of the image's size is there, even where the inode claims bigger ones.
  if (chunkSizeOf(inode.detail) < chunkSize) {
    throw rafsFault(
      "chunk-format",
      `the file at byte ${inode.offset} has chunks smaller than the image's`,
    );
  }
}

function toStat(nid: number, inode: LocatedInode): FileStat {
  const { kind, mode, nlink, uid, gid, size, mtime } = inode;
  const isDevice = kind === "character-device" || kind === "block-device";
  const stat = { nid, kind, mode, nlink, uid, gid, size, mtime };
  return isDevice ? { ...stat, device: decodeDevice(inode.detail) } : stat;
}
