import type { ByteString, DirectoryInode, Inode } from "./inode.ts";

/** One name of a tree. */
export interface TreeName {
  /** From the root, without a slash in front; empty for the root itself */
  readonly path: ByteString;
  readonly name: ByteString;
  readonly inode: Inode;
  /** The directory the name is in; the root is in itself */
  readonly parent: DirectoryInode;
  /** Directories above; 0 for the root */
  readonly depth: number;
}

/**
 * Visits every name of a tree, a directory before what is in it, names in byte order: always the same order for the same
 * tree. Of a file with several names, each is visited. The tree must not change meanwhile.
 */
export function* walkTree(root: DirectoryInode): Generator<TreeName, void, undefined> {
  yield { path: "", name: "", inode: root, parent: root, depth: 0 };
  // Own stack: a tree may be deeper than the one of calls.
  const stack: Level[] = [{ directory: root, prefix: "", names: sortedNames(root), next: 0 }];
  for (let level = stack.at(-1); level !== undefined; level = stack.at(-1)) {
    const name = level.names[level.next++];
    if (name === undefined) {
      stack.pop();
      continue;
    }
    const inode = level.directory.children.get(name);
    if (inode === undefined) continue;
    const path = `${level.prefix}${name}`;
    yield { path, name, inode, parent: level.directory, depth: stack.length };
    if (inode.kind === "directory") {
      stack.push({ directory: inode, prefix: `${path}/`, names: sortedNames(inode), next: 0 });
    }
  }
}

interface Level {
  readonly directory: DirectoryInode;
  readonly prefix: ByteString;
  readonly names: readonly ByteString[];
  next: number;
}

function sortedNames({ children }: DirectoryInode): readonly ByteString[] {
  // One character is one byte, so that the order of strings is that of bytes.
  return [...children.keys()].toSorted();
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
  /** How many names a file has, for those that have more than one */
  readonly linkCounts: ReadonlyMap<Inode, number>;
}

/** Counts the inodes, names and bytes of a tree, and finds its hard links. */
export function countTree(root: DirectoryInode): TreeCounts {
  const nameCounts = new Map<Inode, number>();
  let names = 0;
  let directories = 0;
  let bytes = 0;
  for (const { inode } of walkTree(root)) {
    names += 1;
    if (inode.kind === "directory") {
      directories += 1;
      continue;
    }
    const known = nameCounts.get(inode) ?? 0;
    nameCounts.set(inode, known + 1);
    if (known === 0 && inode.kind === "file") bytes += inode.size;
  }
  const inodes = directories + nameCounts.size;
  const linkCounts = new Map([...nameCounts].filter(([, count]) => count > 1));
  return { inodes, names, directories, bytes, linkCounts };
}
