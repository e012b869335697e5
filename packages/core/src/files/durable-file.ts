import { randomUUID } from "node:crypto";
import { closeSync, fdatasync, fsync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { lstat, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { hasCode } from "../errors/has-code.ts";

const syncData = promisify(fdatasync);
const syncAll = promisify(fsync);
const draftName = /^\.[0-9a-f-]{36}\.tmp$/;

export interface WriteWholeOptions {
  /** Rights of a new file, of which the process's umask takes away. @default 0o600 */
  readonly mode?: number | undefined;
}

/**
 * Puts a file in place of an older one: whoever reads sees the one or the other, whole, also after a power cut. Which of
 * them that is, is sure once the directory is synced, too.
 */
export async function writeWhole(
  path: string,
  content: string | Uint8Array,
  { mode = 0o600 }: WriteWholeOptions = {},
): Promise<void> {
  const draft = join(dirname(path), `.${randomUUID()}.tmp`);
  try {
    // Only what waits for the disk is asked of another thread: asking takes longer than writing to the kernel's memory.
    const file = openSync(draft, "wx", mode);
    try {
      writeFileSync(file, content);
      await syncData(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/**
 * Removes what `writeWhole` left in a directory when its process died.
 *
 * @param minAgeMs younger ones may still be written. @default 3_600_000
 */
export async function removeDrafts(directory: string, minAgeMs = 3_600_000): Promise<void> {
  for (const name of (await ifThere(readdir(directory))) ?? []) {
    if (!draftName.test(name)) continue;
    const path = join(directory, name);
    const stats = await ifThere(lstat(path));
    if (stats !== undefined && stats.mtimeMs <= Date.now() - minAgeMs) {
      await rm(path, { force: true });
    }
  }
}

async function ifThere<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Brings the names in a directory to the disk. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = openSync(path, "r");
  try {
    await syncAll(directory);
  } catch (error) {
    // Not every file system can sync a directory by itself; those write names with the files.
    if (!hasCode(error, "EINVAL", "ENOTSUP", "EPERM")) throw error;
  } finally {
    closeSync(directory);
  }
}
