import type { TarEntry } from "../tar/tar-entry.ts";
import type { FileStat, ReadableFilesystem } from "../rafs/readable-filesystem.ts";
import type { ByteString } from "../tree/inode.ts";
import { splitPath } from "../tree/layer-path.ts";

/**
 * Entries of a copy that was made without root, whose files all belong to whoever made it: those of the image get back whom
 * they belong to, and the attributes that only root may set as long as the file is the same; what is new is root's.
 */
export async function* ownersOfImage(
  entries: AsyncIterable<TarEntry>,
  image: ReadableFilesystem,
): AsyncGenerator<TarEntry, void, undefined> {
  for await (const entry of entries) {
    const file = find(image, entry.path);
    const known = file?.kind === entry.kind ? file : undefined;
    const kept =
      known !== undefined && isSame(entry, known) ? privileged(image.xattrs(known.nid)) : [];
    yield {
      ...entry,
      uid: known?.uid ?? 0,
      gid: known?.gid ?? 0,
      xattrs: new Map([...kept, ...entry.xattrs]),
    };
  }
}

function find(image: ReadableFilesystem, path: ByteString): FileStat | undefined {
  const names = splitPath(path);
  if (typeof names === "string") return undefined;
  let file = image.stat(image.rootNid);
  for (const name of names) {
    const next = file.kind === "directory" ? image.lookup(file.nid, name) : undefined;
    if (next === undefined) return undefined;
    file = image.stat(next.nid);
  }
  return file;
}

function isSame({ size, mtime }: TarEntry, known: FileStat): boolean {
  if (known.kind !== "file") return true;
  const { seconds, nanoseconds } = known.mtime;
  return known.size === size && mtime.seconds === seconds && mtime.nanoseconds === nanoseconds;
}

function privileged(
  xattrs: ReadonlyMap<ByteString, Buffer>,
): readonly (readonly [ByteString, Buffer])[] {
  return [...xattrs].filter(
    ([name]) => !name.startsWith("user.") && !name.startsWith("system.posix_acl_"),
  );
}
