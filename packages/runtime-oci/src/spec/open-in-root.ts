import { constants } from "node:fs";
import { open, readlink, type FileHandle } from "node:fs/promises";
import { hasCode } from "../has-code.ts";
import { invalid } from "./spec-error.ts";

/** Linux' O_PATH, which Node does not name. It opens a FIFO or device without touching it. */
const O_PATH = 0o10_000_000;
/** As many as the kernel follows. */
const maxLinks = 40;

/** Where a path leads inside a root filesystem. */
export interface RootEntry extends AsyncDisposable {
  /** Absolute, seen from the root; no part that exists is a symbolic link */
  readonly path: string;
  /** For `O_PATH` use; absent when nothing is there */
  readonly handle?: FileHandle | undefined;
}

/**
 * Follows a path inside a root filesystem as a process in it would: links and `..` lead no further than its root. The walk
 * goes from directory to directory by open handles, so it holds even while a container changes the tree.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` when the root is no directory, or there are too many links
 */
export async function openInRoot(root: string, path: string): Promise<RootEntry> {
  const handles = [await openRoot(root)];
  const names: string[] = [];
  const pending = path.split("/").toReversed();
  let links = 0;
  /** Goes up to the first `depth` names. */
  const ascend = async (depth: number): Promise<void> => {
    names.length = depth;
    for (const handle of handles.splice(depth + 1)) await handle.close();
  };
  try {
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        await ascend(Math.max(0, names.length - 1));
        continue;
      }
      const parent = handles.length === names.length + 1 ? handles.at(-1) : undefined;
      const child = parent && (await openChild(parent, name));
      if (parent === undefined || child === undefined) {
        names.push(name);
        continue;
      }
      if (!(await child.stat()).isSymbolicLink()) {
        names.push(name);
        handles.push(child);
        continue;
      }
      await child.close();
      if (++links > maxLinks) {
        throw invalid("rootfs", `Too many symbolic links on the way to ${path} in the image.`);
      }
      const target = await readLink(parent, name);
      if (target === undefined) {
        // It is something else by now: look again, as often as there may be links.
        pending.push(name);
        continue;
      }
      if (target.startsWith("/")) await ascend(0);
      pending.push(...target.split("/").toReversed());
    }
    const handle = handles.length === names.length + 1 ? handles.at(-1) : undefined;
    return {
      path: `/${names.join("/")}`,
      handle,
      [Symbol.asyncDispose]: async () => closeAll(handles),
    };
  } catch (error) {
    await closeAll(handles);
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
  await using entry = await openInRoot(root, path);
  if (entry.handle === undefined) return undefined;
  if (!(await entry.handle.stat()).isFile()) {
    throw invalid("rootfs", `${path} in the image is not a regular file.`);
  }
  await using file = await open(`/proc/self/fd/${entry.handle.fd}`, constants.O_RDONLY);
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

async function openRoot(root: string): Promise<FileHandle> {
  try {
    return await open(root, O_PATH | constants.O_DIRECTORY);
  } catch (error) {
    throw invalid("rootPath", `There is no root filesystem at ${JSON.stringify(root)}.`, error);
  }
}

async function openChild(parent: FileHandle, name: string): Promise<FileHandle | undefined> {
  try {
    return await open(`/proc/self/fd/${parent.fd}/${name}`, O_PATH | constants.O_NOFOLLOW);
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

async function readLink(parent: FileHandle, name: string): Promise<string | undefined> {
  try {
    return await readlink(`/proc/self/fd/${parent.fd}/${name}`);
  } catch (error) {
    if (hasCode(error, "EINVAL", "ENOENT")) return undefined;
    throw error;
  }
}

async function closeAll(handles: FileHandle[]): Promise<void> {
  for (const handle of handles.splice(0)) await handle.close();
}
