import { closeSync, constants, fstat, open as openFile, type Stats } from "node:fs";
import { lstat, open, readlink, type FileHandle } from "node:fs/promises";
import { posix } from "node:path";
import { promisify } from "node:util";
import { hasCode } from "@longshore/core";
import { invalid } from "./spec-error.ts";

/** Linux' O_PATH, which Node does not name. It opens a FIFO or device without touching it. */
const O_PATH = 0o10_000_000;
/** Numbers of open files, without what a `FileHandle` costs besides */
const openPath = promisify(openFile) as (path: string, flags: number) => Promise<number>;
const statOf = promisify(fstat) as (fd: number) => Promise<Stats>;
/** As many as the kernel follows. */
const maxLinks = 40;

/** Where a path leads inside a root filesystem. */
export interface RootEntry extends Disposable {
  /** Absolute, seen from the root; no part that exists is a symbolic link */
  readonly path: string;
  /** Number of the open file, for `O_PATH` use; absent when nothing is there */
  readonly fd?: number | undefined;
}

/**
 * Follows a path inside a root filesystem as a process in it would: links and `..` lead no further than its root. The walk
 * goes from directory to directory by open handles, so it holds even while a container changes the tree.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` when the root is no directory, or there are too many links
 */
export async function openInRoot(root: string, path: string): Promise<RootEntry> {
  const opened = [await openRoot(root)];
  const names: string[] = [];
  const pending = path.split("/").toReversed();
  let links = 0;
  /** Goes up to the first `depth` names. */
  const ascend = (depth: number): void => {
    names.length = depth;
    closeAll(opened.splice(depth + 1));
  };
  try {
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        ascend(Math.max(0, names.length - 1));
        continue;
      }
      const parent = opened.length === names.length + 1 ? opened.at(-1) : undefined;
      const child = parent === undefined ? undefined : await openChild(parent, name);
      if (parent === undefined || child === undefined) {
        names.push(name);
        continue;
      }
      if (!(await isSymbolicLink(child))) {
        names.push(name);
        opened.push(child);
        continue;
      }
      closeSync(child);
      if (++links > maxLinks) {
        throw invalid("rootfs", `Too many symbolic links on the way to ${path} in the image.`);
      }
      const target = await readLink(parent, name);
      if (target === undefined) {
        // It is something else by now: look again, as often as there may be links.
        pending.push(name);
        continue;
      }
      if (target.startsWith("/")) ascend(0);
      pending.push(...target.split("/").toReversed());
    }
    const fd = opened.length === names.length + 1 ? opened.at(-1) : undefined;
    return {
      path: `/${names.join("/")}`,
      fd,
      [Symbol.dispose]: () => closeAll(opened),
    };
  } catch (error) {
    closeAll(opened);
    throw error;
  }
}

/**
 * Where names in a directory of a root filesystem lead, as {@link openInRoot} says. The way to the directory is walked once,
 * and again only for those that are links.
 *
 * @throws {LongshoreError} as {@link openInRoot}
 */
export async function pathsInRoot(
  root: string,
  directory: string,
  names: readonly string[],
): Promise<readonly string[]> {
  using entry = await openInRoot(root, directory);
  // Awaited here: until then the directory stays open.
  return await Promise.all(
    names.map(async (name) => {
      if (!(await isLink(entry.fd, name))) return posix.join(entry.path, name);
      using target = await openInRoot(root, posix.join(directory, name));
      return target.path;
    }),
  );
}

async function isLink(parent: number | undefined, name: string): Promise<boolean> {
  if (parent === undefined) return false;
  try {
    return (await lstat(`/proc/self/fd/${parent}/${name}`)).isSymbolicLink();
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return false;
    throw error;
  }
}

/**
 * A text file inside a root filesystem, or `undefined` when there is none.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` when it is no regular file, or has more than `maxBytes`
 */
export async function readInRoot(
  root: string,
  path: string,
  maxBytes: number,
): Promise<string | undefined> {
  using entry = await openInRoot(root, path);
  if (entry.fd === undefined) return undefined;
  if (!(await statOf(entry.fd)).isFile()) {
    throw invalid("rootfs", `${path} in the image is not a regular file.`);
  }
  await using file = await open(`/proc/self/fd/${entry.fd}`, constants.O_RDONLY);
  return await readAtMost(file, maxBytes, () =>
    invalid("rootfs", `${path} in the image has more than ${maxBytes} bytes.`),
  );
}

/** The whole content of a file, however it grows meanwhile; throws what `tooLong` makes when there is more. */
export async function readAtMost(
  file: FileHandle,
  maxBytes: number,
  tooLong: () => Error,
): Promise<string> {
  if ((await file.stat()).size > maxBytes) throw tooLong();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for (;;) {
    const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(65_536) });
    if (bytesRead === 0) return Buffer.concat(chunks).toString("utf8");
    bytes += bytesRead;
    if (bytes > maxBytes) throw tooLong();
    chunks.push(buffer.subarray(0, bytesRead));
  }
}

async function openRoot(root: string): Promise<number> {
  try {
    return await openPath(root, O_PATH | constants.O_DIRECTORY);
  } catch (error) {
    throw invalid("rootPath", `There is no root filesystem at ${JSON.stringify(root)}.`, error);
  }
}

async function openChild(parent: number, name: string): Promise<number | undefined> {
  try {
    return await openPath(`/proc/self/fd/${parent}/${name}`, O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

/** Closes it when that cannot be told. */
async function isSymbolicLink(fd: number): Promise<boolean> {
  try {
    return (await statOf(fd)).isSymbolicLink();
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

async function readLink(parent: number, name: string): Promise<string | undefined> {
  try {
    return await readlink(`/proc/self/fd/${parent}/${name}`);
  } catch (error) {
    if (hasCode(error, "EINVAL", "ENOENT")) return undefined;
    throw error;
  }
}

/** Nothing was read or written by them, so this waits for nothing. */
function closeAll(opened: number[]): void {
  for (const fd of opened.splice(0)) closeSync(fd);
}
