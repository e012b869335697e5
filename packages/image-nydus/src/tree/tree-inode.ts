import type { DeviceInode, FileAttributes, PipeInode, SymlinkInode } from "./inode.ts";

/** A file of a tree. Names and what they lead to are the tree's. */
export type TreeInode = TreeFile | TreeDirectory | SymlinkInode | DeviceInode | PipeInode;

export interface TreeFile extends FileAttributes {
  readonly kind: "file";
  /** Bytes, holes included */
  readonly size: number;
  /** Numbers of its chunks, in order; they have the size of the file together */
  readonly chunks: readonly number[];
}

export interface TreeDirectory extends FileAttributes {
  readonly kind: "directory";
}
