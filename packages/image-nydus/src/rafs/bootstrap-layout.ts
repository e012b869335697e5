import { LongshoreError } from "@longshore/core";
import { alignUp } from "../erofs/align-up.ts";
import { chunkIndexSize } from "../erofs/chunk-index.ts";
import { directorySize } from "../erofs/directory-blocks.ts";
import { canStoreXattr, encodeXattrs } from "../erofs/inline-xattrs.ts";
import { extendedInodeSize } from "../erofs/inode-record.ts";
import { blockSize, inodeSlotSize } from "../erofs/superblock.ts";
import type { ByteString, DirectoryInode, Inode, SymlinkInode } from "../tree/inode.ts";
import { checkInode, checkName } from "./check-inode.ts";
import type { ChunkCollector } from "./chunk-collector.ts";

/** A directory and where it and its names are to lie. */
export interface DirectoryPlan {
  readonly inode: DirectoryInode;
  readonly name: ByteString;
  /** `undefined` for the root */
  readonly parent: DirectoryPlan | undefined;
  readonly nid: number;
  /** Bytes of its names */
  readonly size: number;
  readonly subdirectories: number;
  readonly data: DataPlan;
}

/** Where the data of a directory or symlink lies. */
export interface DataPlan {
  /** Whether the last, short block stands behind the inode */
  readonly isInline: boolean;
  /** First of its other blocks, counted from the first block behind the inodes */
  readonly firstBlock: number;
}

/** Where everything of a tree is to lie in the metadata area. */
export interface BootstrapLayout {
  /** In the order in which they are visited, the root first */
  readonly directories: readonly DirectoryPlan[];
  readonly nids: ReadonlyMap<Inode, number>;
  /** Names that lead to an inode, for those with more than one */
  readonly links: ReadonlyMap<Inode, number>;
  /** Symlinks whose target does not fit behind the inode */
  readonly outlyingSymlinks: ReadonlyMap<SymlinkInode, DataPlan>;
  /** Directories and symlinks with blocks of their own, in the order of those */
  readonly outlying: readonly (DirectoryPlan | SymlinkInode)[];
  /** End of the inodes, from the start of the metadata area on */
  readonly inodesEnd: number;
  /** Blocks behind the inodes */
  readonly dataBlocks: number;
  /** Of all files with their holes; hard links count once */
  readonly fileBytes: number;
  /** Xattrs that cannot be stored, by name, with the number of files that had them */
  readonly omittedXattrs: ReadonlyMap<ByteString, number>;
}

/** Number of the root's inode: a whole block behind number 0, which some programs take for a deleted file. */
export const rootNid: number = blockSize / inodeSlotSize;

const maxOmittedNames = 1000;

/**
 * Gives every inode of a tree its place: breadth first, the children of a directory in byte order.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a tree that is none or holds impossible values, `LIMIT_EXCEEDED` for
 * what does not fit the format
 */
export function layOutBootstrap(root: DirectoryInode, chunks: ChunkCollector): BootstrapLayout {
  const directories: DirectoryPlan[] = [];
  const nids = new Map<Inode, number>();
  const links = new Map<Inode, number>();
  const outlyingSymlinks = new Map<SymlinkInode, DataPlan>();
  const outlying: (DirectoryPlan | SymlinkInode)[] = [];
  const omittedXattrs = new Map<ByteString, number>();
  let position = rootNid * inodeSlotSize;
  let dataBlocks = 0;
  let fileBytes = 0;

  const headOf = (inode: Inode): number => {
    for (const name of inode.xattrs.keys()) {
      if (canStoreXattr(name)) continue;
      if (omittedXattrs.size < maxOmittedNames || omittedXattrs.has(name)) {
        omittedXattrs.set(name, (omittedXattrs.get(name) ?? 0) + 1);
      }
    }
    return extendedInodeSize + encodeXattrs(inode.xattrs).length;
  };

  /** Takes the next free bytes; data behind an inode may not cross a block. */
  const place = (size: number, tail: number): number => {
    position = alignUp(position, inodeSlotSize);
    if (tail > 0 && blockSize - (position % blockSize) < size + tail) {
      position = alignUp(position, blockSize);
    }
    const nid = position / inodeSlotSize;
    position += size + tail;
    return nid;
  };

  const placeWithData = (inode: Inode, size: number): { nid: number; data: DataPlan } => {
    const head = headOf(inode);
    const tail = size % blockSize;
    const isInline = tail > 0 && head + tail <= blockSize;
    const nid = place(head, isInline ? tail : 0);
    const data = { isInline, firstBlock: dataBlocks };
    dataBlocks += isInline ? Math.floor(size / blockSize) : Math.ceil(size / blockSize);
    return { nid, data };
  };

  const addDirectory = (
    inode: DirectoryInode,
    name: ByteString,
    parent: DirectoryPlan | undefined,
  ): void => {
    const { size, subdirectories } = measureDirectory(inode);
    const before = dataBlocks;
    const plan = { inode, name, parent, size, subdirectories, ...placeWithData(inode, size) };
    nids.set(inode, plan.nid);
    directories.push(plan);
    if (dataBlocks > before) outlying.push(plan);
  };

  const addLeaf = (inode: Exclude<Inode, DirectoryInode>, describe: () => string): void => {
    if (inode.kind === "symlink") {
      const before = dataBlocks;
      const { nid, data } = placeWithData(inode, inode.target.length);
      nids.set(inode, nid);
      if (dataBlocks === before) return;
      outlyingSymlinks.set(inode, data);
      outlying.push(inode);
      return;
    }
    if (inode.kind !== "file") {
      nids.set(inode, place(headOf(inode), 0));
      return;
    }
    chunks.add(inode, describe);
    fileBytes += inode.size;
    const indexes = inode.chunks.length * chunkIndexSize;
    nids.set(inode, place(alignUp(headOf(inode), chunkIndexSize) + indexes, 0));
  };

  checkInode(root, () => "/");
  addDirectory(root, "", undefined);
  for (const plan of directories) {
    for (const name of plan.inode.children.keys()) checkName(name, () => pathOf(plan, name));
    for (const name of sortedNames(plan.inode)) {
      const child = plan.inode.children.get(name);
      if (child === undefined) continue;
      const describe = (): string => pathOf(plan, name);
      if (nids.has(child)) {
        if (child.kind === "directory") {
          throw new LongshoreError(
            "VALIDATION_ERROR",
            `The directory "${describe()}" has a second name in the tree; only other files can`,
          );
        }
        links.set(child, (links.get(child) ?? 1) + 1);
        continue;
      }
      checkInode(child, describe);
      if (child.kind === "directory") addDirectory(child, name, plan);
      else addLeaf(child, describe);
    }
  }
  return {
    directories,
    nids,
    links,
    outlyingSymlinks,
    outlying,
    inodesEnd: position,
    dataBlocks,
    fileBytes,
    omittedXattrs,
  };
}

/** The names of a directory in byte order. */
export function sortedNames(directory: DirectoryInode): ByteString[] {
  return [...directory.children.keys()].toSorted();
}

/** The names of a directory in byte order, with `.` and `..` where they belong. */
export function sortedNamesWithDots(directory: DirectoryInode): ByteString[] {
  return [".", "..", ...directory.children.keys()].toSorted();
}

function measureDirectory({ children }: DirectoryInode): { size: number; subdirectories: number } {
  let subdirectories = 0;
  let size = directorySize([".", ".."]);
  for (const [name, child] of children) {
    size += directorySize([name]);
    if (child.kind === "directory") subdirectories += 1;
  }
  // Only names that fill several blocks take room that depends on their order.
  if (size > blockSize) size = directorySize([".", "..", ...children.keys()].toSorted());
  return { size, subdirectories };
}

function pathOf(plan: DirectoryPlan, name: ByteString): string {
  const names = [name];
  for (let at: DirectoryPlan | undefined = plan; at !== undefined; at = at.parent)
    names.unshift(at.name);
  return names.join("/").slice(0, 4096);
}
