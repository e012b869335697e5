import { LongshoreError } from "@longshore/core/errors";
import { rafsFault } from "../rafs/rafs-fault.ts";
import type { DirectoryEntry, FileStat, ReadableFilesystem } from "../rafs/readable-filesystem.ts";
import type { ByteString } from "../tree/inode.ts";

/** One name of an image. */
export interface FilesystemName {
  /** From the root, without a slash in front; empty for the root itself */
  readonly path: ByteString;
  readonly name: ByteString;
  readonly stat: FileStat;
  /** Directories above; 0 for the root */
  readonly depth: number;
  /** The name that was visited first, of a file that has several; absent for that one itself */
  readonly linkTo?: ByteString | undefined;
}

export interface WalkLimits {
  /** Names of the image. @default 10_000_000 */
  readonly maxNames?: number | undefined;
  /** Directories above a file. @default 4_096 */
  readonly maxDepth?: number | undefined;
}

interface Level {
  readonly entries: Iterator<DirectoryEntry>;
  readonly prefix: ByteString;
}

/**
 * Visits every name of an image, a directory before what is in it, names in byte order. Memory: the way down, the numbers
 * of directories, and one path for each file with several names.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when a directory has two places, or is in itself; `LIMIT_EXCEEDED`
 */
export function* walkFilesystem(
  filesystem: ReadableFilesystem,
  limits: WalkLimits = {},
): Generator<FilesystemName, void, undefined> {
  const { maxNames = 10_000_000, maxDepth = 4_096 } = limits;
  const { rootNid } = filesystem;
  const directories = new Set([rootNid]);
  const firstNames = new Map<number, ByteString>();
  let names = 0;
  yield { path: "", name: "", stat: filesystem.stat(rootNid), depth: 0 };
  // Own stack: a tree may be deeper than the one of calls.
  const stack: Level[] = [{ entries: filesystem.entries(rootNid), prefix: "" }];
  for (let level = stack.at(-1); level !== undefined; level = stack.at(-1)) {
    const next = level.entries.next();
    if (next.done === true) {
      stack.pop();
      continue;
    }
    names += 1;
    if (names > maxNames) throw tooMuch(`names`, maxNames);
    const { name, nid } = next.value;
    const path = `${level.prefix}${name}`;
    const stat = filesystem.stat(nid);
    const depth = stack.length;
    if (stat.kind !== "directory") {
      const linkTo = stat.nlink > 1 ? firstNames.get(nid) : undefined;
      if (stat.nlink > 1 && linkTo === undefined) firstNames.set(nid, path);
      yield { path, name, stat, depth, linkTo };
      continue;
    }
    if (directories.has(nid)) {
      throw rafsFault("directory-loop", `directory ${nid} has two places`);
    }
    if (depth > maxDepth) throw tooMuch("directories within each other", maxDepth);
    directories.add(nid);
    yield { path, name, stat, depth };
    stack.push({ entries: filesystem.entries(nid), prefix: `${path}/` });
  }
}

function tooMuch(what: string, limit: number): LongshoreError {
  return new LongshoreError("LIMIT_EXCEEDED", `The image has more than ${limit} ${what}.`, {
    details: { limit },
  });
}
