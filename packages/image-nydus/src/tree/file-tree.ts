import type { DirectoryInode } from "./inode.ts";

/** A tree of files that layers are applied to. */
export interface FileTree {
  /** Replaced when a layer changes the attributes of the root */
  root: DirectoryInode;
  /** What all layers have put in so far; what later ones replaced or removed still counts */
  readonly usage: TreeUsage;
}

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

/** A tree with nothing in it but its root: mode 0755, of root, from 1970. */
export function createTree(): FileTree {
  return {
    root: implicitDirectory(new Map()),
    usage: { entries: 0, fileBytes: 0, metadataBytes: 0 },
  };
}

/** What all files without extended attributes have in common. */
export const noXattrs: DirectoryInode["xattrs"] = new Map();

/** A directory that no layer describes. Its time is 1970, so that the same layers make the same tree. */
export function implicitDirectory(children: DirectoryInode["children"]): DirectoryInode {
  return {
    kind: "directory",
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    xattrs: noXattrs,
    children,
  };
}
