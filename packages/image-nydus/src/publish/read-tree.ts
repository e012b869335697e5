import { LongshoreError, type Abortable } from "@longshore/core";
import { rafsFault } from "../rafs/rafs-fault.ts";
import type { FileStat, ReadableFilesystem } from "../rafs/readable-filesystem.ts";
import type {
  ChunkRef,
  DeviceNumber,
  DirectoryInode,
  FileAttributes,
  Inode,
} from "../tree/inode.ts";
import { walkFilesystem, type WalkLimits } from "./walk-filesystem.ts";

/**
 * Says where a chunk lies in the new image. Called for each chunk of each file once, in the order of the tree; the same
 * answer for the same chunk saves memory.
 */
export type MapChunk = (chunk: ChunkRef) => ChunkRef | Promise<ChunkRef>;

export interface ReadTreeOptions extends Abortable, WalkLimits {
  /** Chunks of all files, repetitions included. @default 67_108_864, which are 64 TiB */
  readonly maxChunks?: number | undefined;
}

/**
 * Makes the tree of an image out of its metadata again, so that it can be written with other places of its chunks. Names of
 * one file lead to one object. The same image gives the same tree, and asks for its chunks in the same order.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when the metadata contradicts itself, `LIMIT_EXCEEDED`
 */
export async function readTree(
  filesystem: ReadableFilesystem,
  mapChunk: MapChunk,
  options: ReadTreeOptions = {},
): Promise<DirectoryInode> {
  const { signal, maxChunks = 2 ** 26 } = options;
  const root = directoryOf(filesystem, filesystem.stat(filesystem.rootNid));
  /** Directories on the way down, the root first */
  const way: DirectoryInode[] = [root];
  const links = new Map<number, Inode>();
  let chunkCount = 0;

  async function chunksOf({ nid, size }: FileStat): Promise<readonly ChunkRef[]> {
    const count = Math.ceil(size / filesystem.chunkSize);
    chunkCount += count;
    if (chunkCount > maxChunks) {
      throw new LongshoreError("LIMIT_EXCEEDED", `The image has more than ${maxChunks} chunks.`);
    }
    const chunks: ChunkRef[] = [];
    for (let number = 0; number < count; number += 1) {
      signal?.throwIfAborted();
      chunks.push(await mapChunk(filesystem.chunk(nid, number)));
    }
    return chunks;
  }

  async function leafOf(stat: FileStat): Promise<Inode> {
    const attributes = attributesOf(filesystem, stat);
    switch (stat.kind) {
      case "file":
        return { ...attributes, kind: "file", size: stat.size, chunks: await chunksOf(stat) };
      case "symlink":
        return { ...attributes, kind: "symlink", target: filesystem.linkTarget(stat.nid) };
      case "character-device":
      case "block-device":
        return { ...attributes, kind: stat.kind, device: deviceOf(stat) };
      case "fifo":
      case "socket":
        return { ...attributes, kind: stat.kind };
      case "directory":
        return directoryOf(filesystem, stat);
      default:
        return stat.kind satisfies never;
    }
  }

  for (const { name, stat, depth, linkTo } of walkFilesystem(filesystem, options)) {
    signal?.throwIfAborted();
    if (depth === 0) continue;
    way.length = depth;
    const known = linkTo === undefined ? undefined : links.get(stat.nid);
    const inode = known ?? (await leafOf(stat));
    if (inode.kind === "directory") way.push(inode);
    else if (stat.nlink > 1) links.set(stat.nid, inode);
    way[depth - 1]?.children.set(name, inode);
  }
  return root;
}

function directoryOf(filesystem: ReadableFilesystem, stat: FileStat): DirectoryInode {
  return { ...attributesOf(filesystem, stat), kind: "directory", children: new Map() };
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
