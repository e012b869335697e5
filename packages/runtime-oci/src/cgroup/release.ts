import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import type { RuntimeContext } from "../runtime/runtime-context.ts";
import { parseMountInfo } from "../spec/mount-info.ts";
import { cgroupDirectories, cgroupDirectory, removeCgroup } from "./hierarchies.ts";

/** A killed process is gone at once, unless a disk or a network filesystem holds it. */
const patienceSeconds = 20;

export interface ReleaseOptions {
  readonly runtime: Pick<RuntimeContext, "helper" | "hierarchies">;
  /** Path in the hierarchies whose processes are killed */
  readonly cgroup: string | undefined;
  /** What is mounted there, or below, is unmounted. @default none */
  readonly directories?: readonly string[] | undefined;
  /** Files and directories that are removed then. @default none */
  readonly remove?: readonly string[] | undefined;
}

/**
 * Ends every process of a cgroup, unmounts, and removes the cgroup. What is gone already is no error.
 *
 * @throws {LongshoreError} `IO_ERROR` when processes stay, or a mount
 */
export async function release(options: ReleaseOptions): Promise<void> {
  const { runtime, cgroup, directories = [], remove = [] } = options;
  const { helper, hierarchies } = runtime;
  const mounts = topmost(mountedPaths(directories));
  const words = [
    ...mounts.map((path) => `unmount=${path}`),
    ...remove.map((path) => `remove=${path}`),
  ];
  if (hierarchies !== undefined && cgroup !== undefined) {
    const members = cgroupDirectory(hierarchies, cgroup, "freezer") ?? "";
    if (hasMembers(members)) words.unshift(`kill=${members}`);
  }
  if (words.length > 0) {
    const args = [String(patienceSeconds), ...words];
    await helper.run("release", args, "end the sandbox's processes");
  }
  if (hierarchies === undefined || cgroup === undefined) return;
  for (const directory of cgroupDirectories(hierarchies, cgroup)) removeCgroup(directory);
}

/** Those that take all others down with them. */
function topmost(paths: readonly string[]): readonly string[] {
  return paths.filter((path) => !paths.some((other) => path.startsWith(`${other}/`)));
}

/** What is mounted at directories and below, in the order in which it can be unmounted. */
export function mountedPaths(paths: readonly string[]): readonly string[] {
  if (paths.length === 0) return [];
  const directories = paths.map(realPath);
  const mounts = parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8"));
  return mounts
    .map(({ mountPoint }) => mountPoint)
    .filter((path) => directories.some((each) => path === each || path.startsWith(`${each}/`)))
    .toReversed();
}

/** Whether a cgroup, or one below it, has processes. */
function hasMembers(directory: string): boolean {
  try {
    // The kernel's own files wait for no disk.
    if (readFileSync(join(directory, "cgroup.procs"), "utf8") !== "") return true;
    return readdirSync(directory, { withFileTypes: true }).some(
      (entry) => entry.isDirectory() && hasMembers(join(directory, entry.name)),
    );
  } catch {
    // It is not there.
    return false;
  }
}

function realPath(path: string): string {
  try {
    // The kernel lists mounts by their real paths.
    return realpathSync.native(path);
  } catch {
    // One that is gone has none.
    return path;
  }
}
