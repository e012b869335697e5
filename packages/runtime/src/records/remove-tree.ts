import { readFileSync } from "node:fs";
import { realpath, rm, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { hasCode, LongshoreError } from "@longshore/core";

/**
 * Removes a directory with all that is in it. No error when it is not there.
 *
 * @throws {LongshoreError} `IO_ERROR` while something is mounted below: removing would reach into what is mounted
 */
export async function removeTree(path: string): Promise<void> {
  let real: string;
  try {
    real = await realpath(path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    throw error;
  }
  const mounted = mountBelow(real);
  if (mounted !== undefined) {
    throw new LongshoreError("IO_ERROR", `${mounted} is still mounted; ${path} stays.`, {
      details: { path, mounted },
    });
  }
  await rm(real, { recursive: true, force: true });
}

/** What a directory should have at its end, and nothing else. */
export interface KnownContent {
  readonly files: readonly string[];
  /** Empty ones */
  readonly directories: readonly string[];
}

/**
 * Removes a directory that has only what is known, which takes no look at its content, nor at what is mounted: no directory
 * goes that is a mount, or has anything in it.
 *
 * @returns whether it is gone
 */
export async function removeKnown(
  path: string,
  { files, directories }: KnownContent,
): Promise<boolean> {
  try {
    await Promise.all([
      ...files.map((name) => unlink(join(path, name)).catch(ignoreMissing)),
      ...directories.map((name) => rmdir(join(path, name)).catch(ignoreMissing)),
    ]);
    await rmdir(path).catch(ignoreMissing);
    return true;
  } catch {
    // Whoever looks closer says why.
    return false;
  }
}

function ignoreMissing(error: unknown): void {
  if (!hasCode(error, "ENOENT")) throw error;
}

/** The fifth field of a line of `/proc/self/mountinfo` is the mount point; see proc_pid_mountinfo(5). */
function mountBelow(path: string): string | undefined {
  // The kernel waits for no disk.
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  for (const line of lines) {
    const point = (line.split(" ")[4] ?? "").replaceAll(/\\([0-7]{3})/g, (_, code: string) =>
      String.fromCodePoint(Number.parseInt(code, 8)),
    );
    if (point === path || point.startsWith(`${path}/`)) return point;
  }
  return undefined;
}
