import type { DirectoryInode, FileInode } from "../../src/tree/inode.ts";
import { walkTree } from "../../src/tree/walk-tree.ts";
import { toListing, type FileListing, type ListedFile } from "./file-listing.ts";

/** Lists a tree of this package as `listDirectory` lists one of this machine. `sha256Of` gives the hex digest of a file. */
export function listTree(root: DirectoryInode, sha256Of: (file: FileInode) => string): FileListing {
  return toListing(list());

  function* list(): Generator<ListedFile & { readonly inode: unknown }> {
    for (const { path, inode } of walkTree(root)) {
      const { seconds, nanoseconds } = inode.mtime;
      const names = [...inode.xattrs.keys()].toSorted();
      yield {
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
        ...(inode.kind === "file" ? { sha256: sha256Of(inode) } : {}),
        inode,
      };
    }
  }
}
