import type { ByteString, FileKind } from "./inode.ts";
import { PackedChunks } from "./packed-chunks.ts";
import { noXattrs, PackedInodes } from "./packed-inodes.ts";
import type { TreeDirectory, TreeInode } from "./tree-inode.ts";
import { noName, PackedNames } from "./packed-names.ts";
import { PackedTexts } from "./packed-texts.ts";
import type { ScratchSpace } from "./scratch-space.ts";

/**
 * A tree of files that layers are applied to. An image may have a million files, so that nothing in it is an object: inodes,
 * names and chunks are numbers, and what is known of them lies side by side in large buffers. Several names may lead to one
 * inode (hard links), but only one to a directory. What is replaced or removed keeps its numbers and its room.
 */
export interface FileTree {
  /** What all layers have put in so far; what later ones replaced or removed still counts */
  readonly usage: TreeUsage;
  readonly chunks: PackedChunks;
  /** Inodes so far, numbered from {@link rootInode} on */
  readonly inodeCount: number;
  /** Names so far, numbered from 1 on, those that lead to nothing included */
  readonly nameCount: number;
  /**
   * Makes an inode that has no name yet.
   *
   * @param describe names it in errors
   * @throws {LongshoreError} `VALIDATION_ERROR` for what no file can have, `LIMIT_EXCEEDED`
   */
  addInode(inode: TreeInode, describe?: () => string): number;
  getInode(inode: number): TreeInode;
  kindOf(inode: number): FileKind;
  /** Gives a directory other attributes. */
  describe(directory: number, attributes: TreeDirectory): void;
  /** The inode that a name of a directory leads to. */
  find(directory: number, name: ByteString): number | undefined;
  /** The number of a name of a directory. */
  findName(directory: number, name: ByteString): number | undefined;
  /**
   * Lets a name of a directory lead to an inode, and no longer to what it led to.
   *
   * @returns the number of the name
   * @throws {LongshoreError} `VALIDATION_ERROR` for what is no name
   */
  link(directory: number, name: ByteString, inode: number): number;
  /** Lets a name lead to nothing. */
  unlink(name: number): void;
  /** The names of a directory, in byte order. */
  namesIn(directory: number): Uint32Array;
  textOf(name: number): ByteString;
  inodeOf(name: number): number | undefined;
  /** Gives back the memory that only finding names and chunks needs: the tree can be read from here on, not changed. */
  forgetIndexes(): void;
}

/** The inode of the root directory of every tree */
export const rootInode = 0;

interface TreeUsage {
  entries: number;
  /** Bytes of files with holes; hard links count once */
  fileBytes: number;
  /** Bytes of names, link targets and extended attributes */
  metadataBytes: number;
}

/** What may be put into a tree. Beyond it, a layer is refused with an error that names the limit. */
export interface TreeLimits {
  /** Names of all layers, with missing parents and whiteouts. @default 1_000_000 */
  readonly maxEntries: number;
  /** Bytes of all files of all layers, holes included. @default 256 GiB */
  readonly maxFileBytes: number;
  /** Bytes of all names, link targets and extended attributes, which stay in memory. @default 256 MiB */
  readonly maxMetadataBytes: number;
  /** Directories above a file. @default 1_024 */
  readonly maxDepth: number;
}

/** The limits that hold when nothing else is said. */
export const defaultTreeLimits: TreeLimits = {
  maxEntries: 1_000_000,
  maxFileBytes: 256 * 2 ** 30,
  maxMetadataBytes: 256 * 2 ** 20,
  maxDepth: 1_024,
};

/**
 * A tree with nothing in it but its root: mode 0755, of root, from 1970.
 *
 * @param scratch takes most of what is not looked at for long, so that it does not take memory. @default none
 */
export function createTree(scratch?: ScratchSpace): FileTree {
  const chunks = new PackedChunks(scratch);
  const texts = new PackedTexts(scratch);
  const inodes = new PackedInodes(chunks, texts, scratch);
  const names = new PackedNames(texts, scratch);
  inodes.add(implicitDirectory, () => "/");

  function findName(directory: number, text: ByteString): number | undefined {
    const name = names.find(directory, text);
    return names.inode(name) === undefined ? undefined : name;
  }

  return {
    usage: { entries: 0, fileBytes: 0, metadataBytes: 0 },
    chunks,
    get inodeCount() {
      return inodes.length;
    },
    get nameCount() {
      return names.length - 1;
    },
    addInode: (inode, describe = () => inode.kind) => inodes.add(inode, describe),
    getInode: (inode) => inodes.get(inode),
    kindOf: (inode) => inodes.kind(inode),
    describe: (directory, attributes) => {
      inodes.describe(directory, attributes);
    },
    findName,
    find: (directory, text) => names.inode(names.find(directory, text)),
    link(directory, text, inode) {
      const count = names.length;
      const name = names.findOrAdd(directory, text, inodes.detail(directory));
      if (names.length > count) inodes.setDetail(directory, name);
      names.setInode(name, inode);
      return name;
    },
    unlink: (name) => {
      names.setInode(name, undefined);
    },
    namesIn(directory) {
      const first = inodes.detail(directory);
      let length = 0;
      for (let name = first; name !== noName; name = names.next(name)) {
        if (names.inode(name) !== undefined) length += 1;
      }
      const sorted = new Uint32Array(length);
      // The last one came first, which is often in order.
      for (let name = first; name !== noName; name = names.next(name)) {
        if (names.inode(name) !== undefined) sorted[--length] = name;
      }
      return sorted.toSorted((one, other) => names.compare(one, other));
    },
    textOf: (name) => names.text(name),
    inodeOf: (name) => names.inode(name),
    forgetIndexes: () => {
      names.forgetIndex();
      chunks.forgetIndex();
    },
  };
}

/** A directory that no layer describes. Its time is 1970, so that the same layers make the same tree. */
export const implicitDirectory: TreeDirectory = {
  kind: "directory",
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: noXattrs,
};
