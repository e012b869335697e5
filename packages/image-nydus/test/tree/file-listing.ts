import type { ByteString, FileKind } from "../../src/tree/inode.ts";

/** Everything about one name of a file tree that two copies of the tree must agree on. */
export interface ListedFile {
  /** From the root, without a slash in front; `.` is the root itself */
  readonly path: ByteString;
  readonly kind: FileKind;
  /** Four octal digits */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Of files; 0 for all else */
  readonly size: number;
  /** Seconds and nine digits: `1700000000.000000001`, `-2.500000000` is 1.5 s before 1970 */
  readonly mtime: string;
  /** Values in hex, by name, in byte order of the names */
  readonly xattrs: Readonly<Record<ByteString, string>>;
  /** Of symlinks */
  readonly target?: ByteString;
  /** Of devices: `major:minor` */
  readonly device?: string;
  /** First path, in byte order, of the names that lead to this file; only when there are several. Never of directories. */
  readonly hardlink?: ByteString;
  /** Of files: sha256 of the content, hex */
  readonly sha256?: string;
}

/** A tree, in byte order of its paths. */
export type FileListing = ReadonlyMap<ByteString, ListedFile>;

export interface DifferenceOptions {
  /** Facts that need not agree, for one path or for all: `(path, field) => field === "mtime" && path === "."` */
  readonly ignore?: (path: ByteString, field: keyof ListedFile) => boolean;
}

const fields = [
  "kind",
  "mode",
  "uid",
  "gid",
  "size",
  "mtime",
  "xattrs",
  "target",
  "device",
  "hardlink",
  "sha256",
] as const satisfies readonly (keyof ListedFile)[];

/** One line for each fact in which the trees differ, so that `expect(differences(a, b)).toEqual([])` says all. */
export function differences(
  actual: FileListing,
  expected: FileListing,
  { ignore = () => false }: DifferenceOptions = {},
): string[] {
  const lines: string[] = [];
  for (const path of new Set([...actual.keys(), ...expected.keys()])) {
    const [left, right] = [actual.get(path), expected.get(path)];
    if (left === undefined) lines.push(`${JSON.stringify(path)}: missing`);
    else if (right === undefined) lines.push(`${JSON.stringify(path)}: too much`);
    else {
      for (const field of fields) {
        const [found, wanted] = [JSON.stringify(left[field]), JSON.stringify(right[field])];
        if (found === wanted || ignore(path, field)) continue;
        lines.push(`${JSON.stringify(path)}: ${field} is ${found}, expected ${wanted}`);
      }
    }
  }
  return lines;
}

/** Puts the files in order and finds out which of them are names of one. Each comes with a key that its inode has alone. */
export function toListing(files: Iterable<ListedFile & { readonly inode: unknown }>): FileListing {
  const sorted = [...files].toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const names = new Map<unknown, ListedFile[]>();
  for (const file of sorted) {
    if (file.kind === "directory") continue;
    const group = names.get(file.inode);
    if (group === undefined) names.set(file.inode, [file]);
    else group.push(file);
  }
  const listing = new Map<ByteString, ListedFile>();
  for (const { inode, ...file } of sorted) {
    const group = file.kind === "directory" ? [] : (names.get(inode) ?? []);
    const first = group.length > 1 ? group[0]?.path : undefined;
    listing.set(file.path, first === undefined ? file : { ...file, hardlink: first });
  }
  return listing;
}
