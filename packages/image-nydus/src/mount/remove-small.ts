import type { Dirent } from "node:fs";
import { opendir, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "@longshore/core/errors";

/** What is larger is removed by those who are made for it. */
const maxEntries = 64;

/**
 * Removes a directory when it has little in it and nothing is mounted there, without a look at what is mounted elsewhere. What
 * is mounted stays as it is.
 *
 * @returns whether it is gone; when it is not, some of it may be
 */
export async function removeSmall(directory: string): Promise<boolean> {
  let left = maxEntries;

  async function remove(path: string): Promise<void> {
    if (await isRemoved(path)) return;
    const found = await entries(path);
    await Promise.all(
      found.map(async (entry) => {
        const inner = join(path, entry.name);
        await (entry.isDirectory() ? remove(inner) : unlink(inner));
      }),
    );
    await rmdir(path);
  }

  /** Read before any of them is removed: what removing does to a listing differs between filesystems. */
  async function entries(path: string): Promise<readonly Dirent[]> {
    const found: Dirent[] = [];
    // One read gets them, or shows that there are too many.
    for await (const entry of await opendir(path, { bufferSize: maxEntries })) {
      left -= 1;
      if (left < 0) throw new Error("too many entries");
      found.push(entry);
    }
    return found;
  }

  try {
    await remove(directory);
    return true;
  } catch {
    // Whoever looks closer says why.
    return false;
  }
}

/** `false` for one that has something in it, and is no mount point: the kernel looks for that first. */
async function isRemoved(directory: string): Promise<boolean> {
  try {
    await rmdir(directory);
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return true;
    if (hasCode(error, "ENOTEMPTY", "EEXIST")) return false;
    throw error;
  }
}
