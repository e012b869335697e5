import { LongshoreError } from "@longshore/core/errors";
import { createTree, rootInode, type FileTree } from "./file-tree.ts";
import type { ByteString, DirectoryInode, Inode } from "./inode.ts";

/** A tree that was given as objects. */
export interface PackedTree {
  readonly tree: FileTree;
  /** What became of each object */
  readonly numbers: ReadonlyMap<Inode, number>;
}

/**
 * Makes a tree of objects.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for what no tree can hold, `LIMIT_EXCEEDED`
 */
export function packTree(root: DirectoryInode): PackedTree {
  const tree = createTree();
  const numbers = new Map<Inode, number>();
  tree.describe(rootInode, root);
  numbers.set(root, rootInode);
  const directories: Folder[] = [{ inode: root, path: "" }];
  // The list grows while it is gone through: a tree may be deeper than the stack of calls.
  for (const { inode: directory, path: prefix } of directories) {
    for (const [name, inode] of directory.children) {
      const path = `${prefix}${name}`;
      const known = numbers.get(inode);
      if (known !== undefined && inode.kind === "directory") {
        throw new LongshoreError(
          "VALIDATION_ERROR",
          `The directory "${path.slice(0, 4_096)}" has a second name in the tree; only other files can`,
        );
      }
      const number = known ?? add(tree, inode, path);
      numbers.set(inode, number);
      tree.link(numbers.get(directory) ?? rootInode, name, number);
      if (inode.kind === "directory") directories.push({ inode, path: `${path}/` });
    }
  }
  return { tree, numbers };
}

interface Folder {
  readonly inode: DirectoryInode;
  readonly path: ByteString;
}

function add(tree: FileTree, inode: Inode, path: ByteString): number {
  const describe = (): string => path.slice(0, 4_096);
  if (inode.kind !== "file") return tree.addInode(inode, describe);
  return tree.addInode(
    { ...inode, chunks: inode.chunks.map((chunk) => tree.chunks.add(chunk)) },
    describe,
  );
}
