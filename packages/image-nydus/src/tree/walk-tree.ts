import { rootInode, type FileTree } from "./file-tree.ts";
import { NumberSet } from "./number-set.ts";
import type { ByteString } from "./inode.ts";

/** One name of a tree. */
export interface TreeName {
  /** From the root, without a slash in front; empty for the root itself */
  readonly path: ByteString;
  readonly name: ByteString;
  readonly inode: number;
  /** Directories above; 0 for the root */
  readonly depth: number;
}

/**
 * Visits every name of a tree, a directory before what is in it, names in byte order: always the same order for the same
 * tree. Of a file with several names, each is visited. The tree must not change meanwhile.
 */
export function* walkTree(tree: FileTree): Generator<TreeName, void, undefined> {
  yield { path: "", name: "", inode: rootInode, depth: 0 };
  // Own stack: a tree may be deeper than the one of calls.
  const stack: Level[] = [{ prefix: "", names: tree.namesIn(rootInode), next: 0 }];
  for (let level = stack.at(-1); level !== undefined; level = stack.at(-1)) {
    const number = level.names[level.next++];
    if (number === undefined) {
      stack.pop();
      continue;
    }
    const inode = tree.inodeOf(number);
    if (inode === undefined) continue;
    const name = tree.textOf(number);
    const path = `${level.prefix}${name}`;
    yield { path, name, inode, depth: stack.length };
    if (tree.kindOf(inode) === "directory") {
      stack.push({ prefix: `${path}/`, names: tree.namesIn(inode), next: 0 });
    }
  }
}

interface Level {
  readonly prefix: ByteString;
  readonly names: Uint32Array;
  next: number;
}

/** What a tree is made of. */
export interface TreeCounts {
  /** Hard links count once */
  readonly inodes: number;
  /** The root included */
  readonly names: number;
  readonly directories: number;
  /** Of files with holes; hard links count once */
  readonly bytes: number;
  /** Bytes of names, link targets and extended attributes; what is of an inode counts once */
  readonly metadataBytes: number;
  /** Blobs that the files need, as their chunks name them */
  readonly blobIds: ReadonlySet<string>;
}

/** Counts what a tree is made of. */
export function countTree(tree: FileTree): TreeCounts {
  const { chunks } = tree;
  const seen = new NumberSet();
  const blobs = new NumberSet();
  let [names, inodes, directories, bytes, metadataBytes] = [0, 0, 0, 0, 0];
  for (const { name, inode: number } of walkTree(tree)) {
    names += 1;
    metadataBytes += name.length;
    if (seen.has(number)) continue;
    seen.add(number);
    inodes += 1;
    const inode = tree.getInode(number);
    for (const [key, value] of inode.xattrs) metadataBytes += key.length + value.length;
    if (inode.kind === "directory") directories += 1;
    if (inode.kind === "symlink") metadataBytes += inode.target.length;
    if (inode.kind !== "file") continue;
    bytes += inode.size;
    for (const chunk of inode.chunks) blobs.add(chunks.blob(chunk));
  }
  const blobIds = new Set(chunks.blobIds.filter((_, blob) => blobs.has(blob)));
  return { inodes, names, directories, bytes, metadataBytes, blobIds };
}
