import { constants, type BigIntStats } from "node:fs";
import { lstat, open, readdir, type FileHandle } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { hasCode } from "@longshore/core/errors";

/** One file of a log, open, so that it can be read to its end whatever it is called later. */
export interface LogFile extends AsyncDisposable {
  readonly handle: FileHandle;
  /** Tells it apart from others */
  readonly key: string;
}

/** Rotations during one look at a directory; more than that and somebody plays with us */
const maxLooks = 20;

/** The log's files that are there, oldest first: `<path>.2`, `<path>.1`, `<path>`. */
export async function openLogFiles(path: string): Promise<readonly LogFile[]> {
  for (let look = 1; ; look += 1) {
    const paths = await logPaths(path);
    const opened = await Promise.all(paths.map(openLogFile));
    const files = opened.filter((file) => file !== undefined);
    // Between the look and the opening they may have got other names: then one could be missing.
    const isSame = (await logPaths(path)).join("\n") === paths.join("\n");
    const now = await Promise.all(paths.map(lookAt));
    const isStill = opened.every((file, index) => file?.key === now[index]?.key);
    if ((isSame && isStill) || look === maxLooks) return files.toReversed();
    await Promise.all(files.map((file) => file[Symbol.asyncDispose]()));
  }
}

/** Newest first. */
async function logPaths(path: string): Promise<readonly string[]> {
  const numbers = await rotatedNumbers(path);
  return [path, ...numbers.map((number) => `${path}.${number}`)];
}

/** `undefined` when there is none. */
async function openLogFile(path: string): Promise<LogFile | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, "ENOENT", "ELOOP")) return undefined;
    throw error;
  }
  const info = await handle.stat({ bigint: true });
  if (!info.isFile()) {
    await handle.close();
    return undefined;
  }
  let isClosed = false;
  return {
    handle,
    key: keyOf(info),
    async [Symbol.asyncDispose]() {
      if (isClosed) return;
      isClosed = true;
      await handle.close();
    },
  };
}

/** What is at the path now; `undefined` when nothing is. */
export async function lookAt(
  path: string,
): Promise<{ readonly key: string; readonly size: number } | undefined> {
  try {
    const info = await lstat(path, { bigint: true });
    return info.isFile() ? { key: keyOf(info), size: Number(info.size) } : undefined;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** The number of a file that was deleted is soon another's; the time of its making tells them apart. */
function keyOf({ dev, ino, birthtimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${birthtimeNs}`;
}

async function rotatedNumbers(path: string): Promise<readonly number[]> {
  const prefix = `${basename(path)}.`;
  let names: readonly string[];
  try {
    names = await readdir(dirname(path));
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
  return names
    .filter((name) => name.startsWith(prefix) && /^[1-9]\d{0,5}$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .toSorted((a, b) => a - b);
}
