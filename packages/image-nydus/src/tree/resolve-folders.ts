import { rootInode, type FileTree } from "./file-tree.ts";
import type { ByteString, SymlinkInode } from "./inode.ts";

/** A folder on the way to a file. */
export interface FolderStep {
  readonly name: ByteString;
  /** Of the name in the tree, when it leads to an inode */
  readonly nameNumber: number | undefined;
  /** What the tree has in this place: the number of any inode, or nothing */
  readonly inode: number | undefined;
}

/** As many as Linux follows for one path */
const maxSymlinks = 40;
/** Names looked at for one path, those in symlinks included */
const maxNames = 4_096;

/**
 * Follows symlinks on the way to a file as if the tree were the whole world: absolute targets begin at its root, and `..` of
 * the root is the root. What is missing is taken for a directory that will be made. The answer holds no symlinks.
 *
 * @param folders names without `.` and `..`
 * @returns the problem as a text when the way has no end
 */
export function resolveFolders(
  tree: FileTree,
  folders: readonly ByteString[],
): readonly FolderStep[] | string {
  const steps: FolderStep[] = [];
  const pending = folders.toReversed();
  let symlinks = 0;
  for (let count = 0; pending.length > 0; count++) {
    if (count > maxNames) return "the symlinks on its path lead to too long a path";
    const name = pending.pop() ?? "";
    if (name === "..") {
      steps.pop();
      continue;
    }
    const folder = steps.length === 0 ? rootInode : steps.at(-1)?.inode;
    const nameNumber = folder === undefined ? undefined : tree.findName(folder, name);
    const inode = nameNumber === undefined ? undefined : tree.inodeOf(nameNumber);
    const link = inode === undefined ? undefined : linkAt(tree, inode);
    if (link === undefined) {
      steps.push({ name, nameNumber, inode });
      continue;
    }
    if (++symlinks > maxSymlinks) return "too many symlinks on its path, or a circle of them";
    if (link.target.startsWith("/")) steps.length = 0;
    const names = link.target.split("/").filter((part) => part !== "" && part !== ".");
    pending.push(...names.toReversed());
  }
  return steps;
}

function linkAt(tree: FileTree, inode: number): SymlinkInode | undefined {
  if (tree.kindOf(inode) !== "symlink") return undefined;
  const link = tree.getInode(inode);
  return link.kind === "symlink" ? link : undefined;
}
