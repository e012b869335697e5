import { LongshoreError } from "@longshore/core/errors";
import { alignUp } from "../erofs/align-up.ts";
import { chunkIndexSize } from "../erofs/chunk-index.ts";
import { directorySize } from "../erofs/directory-blocks.ts";
import { canStoreXattr, encodeXattrs } from "../erofs/inline-xattrs.ts";
import { extendedInodeSize } from "../erofs/inode-record.ts";
import { blockSize, inodeSlotSize } from "../erofs/superblock.ts";
import { rootInode, type FileTree } from "../tree/file-tree.ts";
import type { ByteString } from "../tree/inode.ts";
import type { TreeInode } from "../tree/tree-inode.ts";
import type { ChunkCollector } from "./chunk-collector.ts";

/** A directory and where it and its names are to lie. */
export interface DirectoryPlan {
  readonly inode: number;
  readonly name: ByteString;
  /** `undefined` for the root */
  readonly parent: DirectoryPlan | undefined;
  /** Bytes of its names */
  readonly size: number;
  readonly subdirectories: number;
  readonly data: DataPlan;
  /** Its names in {@link BootstrapLayout.names}: from the first to before the end */
  readonly firstName: number;
  readonly endName: number;
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
  /** Numbers of all names in the order in which they are visited: directory by directory, each in byte order */
  readonly names: Uint32Array;
  /** By inode; 0 for those without a name */
  readonly nids: Uint32Array;
  readonly inodeCount: number;
  /** Names that lead to an inode, for those with more than one */
  readonly links: ReadonlyMap<number, number>;
  /** Symlinks whose target does not fit behind the inode */
  readonly outlyingSymlinks: ReadonlyMap<number, DataPlan>;
  /** Directories and symlinks with blocks of their own, in the order of those */
  readonly outlying: readonly (DirectoryPlan | number)[];
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
 * @throws {LongshoreError} `VALIDATION_ERROR` for a tree that is none, `LIMIT_EXCEEDED` for what does not fit the format
 */
export function layOutBootstrap(tree: FileTree, chunks: ChunkCollector): BootstrapLayout {
  const directories: DirectoryPlan[] = [];
  const names = new Uint32Array(tree.nameCount);
  const nids = new Uint32Array(tree.inodeCount);
  const links = new Map<number, number>();
  const outlyingSymlinks = new Map<number, DataPlan>();
  const outlying: (DirectoryPlan | number)[] = [];
  const omittedXattrs = new Map<ByteString, number>();
  let position = rootNid * inodeSlotSize;
  let nameCount = 0;
  let inodeCount = 0;
  let dataBlocks = 0;
  let fileBytes = 0;

  const headOf = ({ xattrs }: TreeInode): number => {
    for (const name of xattrs.keys()) {
      if (canStoreXattr(name)) continue;
      if (omittedXattrs.size < maxOmittedNames || omittedXattrs.has(name)) {
        omittedXattrs.set(name, (omittedXattrs.get(name) ?? 0) + 1);
      }
    }
    return extendedInodeSize + encodeXattrs(xattrs).length;
  };

  /** Takes the next free bytes; data behind an inode may not cross a block. */
  const place = (inode: number, size: number, tail = 0): void => {
    position = alignUp(position, inodeSlotSize);
    if (tail > 0 && blockSize - (position % blockSize) < size + tail) {
      position = alignUp(position, blockSize);
    }
    nids[inode] = position / inodeSlotSize;
    inodeCount += 1;
    position += size + tail;
  };

  const placeWithData = (inode: number, head: number, size: number): DataPlan => {
    const tail = size % blockSize;
    const isInline = tail > 0 && head + tail <= blockSize;
    place(inode, head, isInline ? tail : 0);
    const data = { isInline, firstBlock: dataBlocks };
    dataBlocks += isInline ? Math.floor(size / blockSize) : Math.ceil(size / blockSize);
    return data;
  };

  const addDirectory = (
    inode: number,
    name: ByteString,
    parent: DirectoryPlan | undefined,
  ): void => {
    const firstName = nameCount;
    let subdirectories = 0;
    for (const child of tree.namesIn(inode)) {
      names[nameCount] = child;
      nameCount += 1;
      if (tree.kindOf(tree.inodeOf(child) ?? 0) === "directory") subdirectories += 1;
    }
    const size = directorySize(namesWithDots(tree, names.subarray(firstName, nameCount)));
    const before = dataBlocks;
    const data = placeWithData(inode, headOf(tree.getInode(inode)), size);
    const endName = nameCount;
    const plan = { inode, name, parent, size, subdirectories, data, firstName, endName };
    directories.push(plan);
    if (dataBlocks > before) outlying.push(plan);
  };

  const addLeaf = (number: number, describe: () => string): void => {
    const inode = tree.getInode(number);
    const head = headOf(inode);
    if (inode.kind === "symlink") {
      const before = dataBlocks;
      const data = placeWithData(number, head, inode.target.length);
      if (dataBlocks === before) return;
      outlyingSymlinks.set(number, data);
      outlying.push(number);
      return;
    }
    if (inode.kind !== "file") {
      place(number, head);
      return;
    }
    chunks.add(inode, describe);
    fileBytes += inode.size;
    place(number, alignUp(head, chunkIndexSize) + inode.chunks.length * chunkIndexSize);
  };

  addDirectory(rootInode, "", undefined);
  for (const plan of directories) {
    for (let at = plan.firstName; at < plan.endName; at += 1) {
      const name = names[at] ?? 0;
      const child = tree.inodeOf(name) ?? 0;
      const describe = (): string => pathOf(plan, tree.textOf(name));
      const isDirectory = tree.kindOf(child) === "directory";
      if (nids[child] === 0) {
        if (isDirectory) addDirectory(child, tree.textOf(name), plan);
        else addLeaf(child, describe);
        continue;
      }
      if (isDirectory) {
        throw new LongshoreError(
          "VALIDATION_ERROR",
          `The directory "${describe()}" has a second name in the tree; only other files can`,
        );
      }
      links.set(child, (links.get(child) ?? 1) + 1);
    }
  }
  return {
    directories,
    names,
    nids,
    inodeCount,
    links,
    outlyingSymlinks,
    outlying,
    inodesEnd: position,
    dataBlocks,
    fileBytes,
    omittedXattrs,
  };
}

/** The names of a directory in byte order, with `.` and `..` where they belong. */
export function* namesWithDots(tree: FileTree, names: Uint32Array): Generator<ByteString, void> {
  const dots = [".", ".."];
  for (const name of names) {
    const text = tree.textOf(name);
    while (dots[0] !== undefined && dots[0] < text) yield dots.shift() ?? "";
    yield text;
  }
  yield* dots;
}

function pathOf(plan: DirectoryPlan, name: ByteString): string {
  const names = [name];
  for (let at: DirectoryPlan | undefined = plan; at !== undefined; at = at.parent)
    names.unshift(at.name);
  return names.join("/").slice(0, 4096);
}
