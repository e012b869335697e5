import type { Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { rafsFault } from "../rafs/rafs-fault.ts";
import type { FileStat, ReadableFilesystem } from "../rafs/readable-filesystem.ts";
import { createTree, rootInode, type FileTree } from "../tree/file-tree.ts";
import type { ChunkRef, DeviceNumber, FileAttributes } from "../tree/inode.ts";
import type { TreeInode } from "../tree/tree-inode.ts";
import { walkFilesystem, type WalkLimits } from "./walk-filesystem.ts";

/** Says where a chunk lies in the new image. Called for each chunk of each file once, in the order of the tree. */
export type MapChunk = (chunk: ChunkRef) => ChunkRef | Promise<ChunkRef>;

export interface ReadTreeOptions extends Abortable, WalkLimits {
  /** Chunks of all files, repetitions included. @default 67_108_864, which are 64 TiB */
  readonly maxChunks?: number | undefined;
  /** An empty tree. @default a new one */
  readonly into?: FileTree | undefined;
}

/**
 * Makes the tree of an image out of its metadata again, so that it can be written with other places of its chunks. Names of
 * one file lead to one inode. The same image gives the same tree, and asks for its chunks in the same order.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when the metadata contradicts itself, `LIMIT_EXCEEDED`
 */
export async function readTree(
  filesystem: ReadableFilesystem,
  mapChunk: MapChunk,
  options: ReadTreeOptions = {},
): Promise<FileTree> {
  const { signal, maxChunks = 2 ** 26, into: tree = createTree() } = options;
  const root = attributesOf(filesystem, filesystem.stat(filesystem.rootNid));
  tree.describe(rootInode, { ...root, kind: "directory" });
  /** Directories on the way down, the root first */
  const way: number[] = [rootInode];
  /** Inodes by nid, of those with several names */
  const links = new Map<number, number>();
  let chunkCount = 0;

  async function chunksOf({ nid, size }: FileStat): Promise<readonly number[]> {
    const count = Math.ceil(size / filesystem.chunkSize);
    chunkCount += count;
    if (chunkCount > maxChunks) {
      throw new LongshoreError("LIMIT_EXCEEDED", `The image has more than ${maxChunks} chunks.`);
    }
    const chunks: number[] = [];
    for (let number = 0; number < count; number += 1) {
      signal?.throwIfAborted();
      chunks.push(tree.chunks.add(await mapChunk(filesystem.chunk(nid, number))));
    }
    return chunks;
  }

  async function inodeOf(stat: FileStat): Promise<TreeInode> {
    const attributes = attributesOf(filesystem, stat);
    switch (stat.kind) {
      case "file":
        return { ...attributes, kind: "file", size: stat.size, chunks: await chunksOf(stat) };
      case "symlink":
        return { ...attributes, kind: "symlink", target: filesystem.linkTarget(stat.nid) };
      case "character-device":
      case "block-device":
        return { ...attributes, kind: stat.kind, device: deviceOf(stat) };
      case "directory":
      case "fifo":
      case "socket":
        return { ...attributes, kind: stat.kind };
      default:
        return stat.kind satisfies never;
    }
  }

  for (const { name, stat, depth, linkTo } of walkFilesystem(filesystem, options)) {
    signal?.throwIfAborted();
    if (depth === 0) continue;
    way.length = depth;
    const known = linkTo === undefined ? undefined : links.get(stat.nid);
    const inode = known ?? tree.addInode(await inodeOf(stat), () => name);
    if (stat.kind === "directory") way.push(inode);
    else if (stat.nlink > 1) links.set(stat.nid, inode);
    tree.link(way[depth - 1] ?? rootInode, name, inode);
  }
  return tree;
}

function attributesOf(
  filesystem: ReadableFilesystem,
  { nid, mode, uid, gid, mtime }: FileStat,
): Omit<FileAttributes, "kind"> {
  return { mode, uid, gid, mtime, xattrs: filesystem.xattrs(nid) };
}

/** The numbers of a device file. */
export function deviceOf({ nid, device }: FileStat): DeviceNumber {
  if (device === undefined) throw rafsFault("inode-format", `device ${nid} has no number`);
  return device;
}
