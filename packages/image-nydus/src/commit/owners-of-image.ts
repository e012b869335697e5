import type { TarEntry } from "../tar/tar-entry.ts";
import { splitPath } from "../tree/layer-path.ts";
import type { ByteString, DirectoryInode, Inode } from "../tree/inode.ts";

/**
 * Entries of a copy that was made without root, whose files all belong to whoever made it: those of the image get back whom
 * they belong to, and the attributes that only root may set as long as the file is the same; what is new is root's.
 */
export async function* ownersOfImage(
  entries: AsyncIterable<TarEntry>,
  image: DirectoryInode,
): AsyncGenerator<TarEntry, void, undefined> {
  for await (const entry of entries) {
    const inode = find(image, entry.path);
    const known = inode?.kind === entry.kind ? inode : undefined;
    const kept = known !== undefined && isSame(entry, known) ? privileged(known) : [];
    yield {
      ...entry,
      uid: known?.uid ?? 0,
      gid: known?.gid ?? 0,
      xattrs: new Map([...kept, ...entry.xattrs]),
    };
  }
}

function find(root: DirectoryInode, path: ByteString): Inode | undefined {
  const names = splitPath(path);
  if (typeof names === "string") return undefined;
  let inode: Inode | undefined = root;
  for (const name of names) {
    inode = inode?.kind === "directory" ? inode.children.get(name) : undefined;
  }
  return inode;
}

function isSame({ size, mtime }: TarEntry, known: Inode): boolean {
  if (known.kind !== "file") return true;
  const { seconds, nanoseconds } = known.mtime;
  return known.size === size && mtime.seconds === seconds && mtime.nanoseconds === nanoseconds;
}

function privileged({ xattrs }: Inode): readonly (readonly [ByteString, Buffer])[] {
  return [...xattrs].filter(
    ([name]) => !name.startsWith("user.") && !name.startsWith("system.posix_acl_"),
  );
}
