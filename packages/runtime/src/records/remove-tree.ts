import { readFileSync } from "node:fs";
import { realpath, rm } from "node:fs/promises";
import { LongshoreError } from "@longshore/core";
import { hasCode } from "./fs-error.ts";

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
