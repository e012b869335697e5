import type { FileTree } from "../../src/tree/file-tree.ts";
import type { DirectoryInode, FileInode, Inode } from "../../src/tree/inode.ts";
import type { TreeFile, TreeInode } from "../../src/tree/tree-inode.ts";
import { walkTree } from "../../src/tree/walk-tree.ts";
import { toListing, type FileListing, type ListedFile } from "./file-listing.ts";

type Listed = ListedFile & { readonly inode: unknown };

/** Lists a tree of this package as `listDirectory` lists one of this machine. `sha256Of` gives the hex digest of a file. */
export function listTree(tree: FileTree, sha256Of: (file: TreeFile) => string): FileListing {
  return toListing(list());

  function* list(): Generator<Listed> {
    for (const { path, inode: number } of walkTree(tree)) {
      const inode = tree.getInode(number);
      const sha256 = inode.kind === "file" ? sha256Of(inode) : undefined;
      yield { ...describeInode(path, inode, sha256), inode: number };
    }
  }
}

/** The same, of a tree of objects. */
export function listObjects(
  root: DirectoryInode,
  sha256Of: (file: FileInode) => string,
): FileListing {
  return toListing(list(root, ""));

  function* list(inode: Inode, path: string): Generator<Listed> {
    const sha256 = inode.kind === "file" ? sha256Of(inode) : undefined;
    yield { ...describeInode(path, inode, sha256), inode };
    if (inode.kind !== "directory") return;
    for (const [name, child] of inode.children) {
      yield* list(child, path === "" ? name : `${path}/${name}`);
    }
  }
}

function describeInode(
  path: string,
  inode: Inode | TreeInode,
  sha256: string | undefined,
): ListedFile {
  const { seconds, nanoseconds } = inode.mtime;
  const names = [...inode.xattrs.keys()].toSorted();
  return {
    path: path === "" ? "." : path,
    kind: inode.kind,
    mode: inode.mode.toString(8).padStart(4, "0"),
    uid: inode.uid,
    gid: inode.gid,
    size: inode.kind === "file" ? inode.size : 0,
    mtime: `${seconds}.${nanoseconds.toString().padStart(9, "0")}`,
    xattrs: Object.fromEntries(
      names.map((name) => [name, inode.xattrs.get(name)?.toString("hex") ?? ""]),
    ),
    ...(inode.kind === "symlink" ? { target: inode.target } : {}),
    ...("device" in inode ? { device: `${inode.device.major}:${inode.device.minor}` } : {}),
    ...(sha256 === undefined ? {} : { sha256 }),
  };
}
