import { constants, type Stats } from "node:fs";
import { open, readdir, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { hasCode } from "../records/fs-error.ts";

/** One file of a log, open, so that it can be read to its end whatever it is called later. */
export interface LogFile extends AsyncDisposable {
  readonly handle: FileHandle;
  /** Tells it apart from others */
  readonly key: string;
}

/** The log's files that are there, oldest first: `<path>.2`, `<path>.1`, `<path>`. */
export async function openLogFiles(path: string): Promise<readonly LogFile[]> {
  const numbers = await rotatedNumbers(path);
  const paths = [path, ...numbers.map((number) => `${path}.${number}`)];
  const files: LogFile[] = [];
  // Newest first: one that is renamed meanwhile is met twice, not missed.
  for (const one of paths) {
    const file = await openLogFile(one);
    if (file === undefined) continue;
    if (files.some(({ key }) => key === file.key)) await file[Symbol.asyncDispose]();
    else files.push(file);
  }
  return files.toReversed();
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
  const info = await handle.stat();
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
    const info = await stat(path);
    return { key: keyOf(info), size: info.size };
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

function keyOf({ dev, ino }: Stats): string {
  return `${dev}:${ino}`;
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
