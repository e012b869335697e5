import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cgroupDirectory, type CgroupHierarchies } from "./hierarchies.ts";

/** Files of version 1 that limits are written to, by controller. */
const filesOfVersion1: Readonly<Record<string, readonly string[]>> = {
  cpu: ["cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"],
  cpuset: ["cpuset.cpus", "cpuset.mems"],
  memory: ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
  pids: ["pids.max"],
};

const filesOfVersion2: readonly string[] = [
  "cpu.weight",
  "cpu.max",
  "cpuset.cpus",
  "cpuset.mems",
  "memory.max",
  "memory.swap.max",
  "pids.max",
];

/**
 * Reads the limits of a cgroup, and returns a function that writes back those that have changed since.
 *
 * @param more names of files of version 2, beside those that limits usually stand in
 */
export async function rememberLimits(
  hierarchies: CgroupHierarchies,
  path: string,
  more: readonly string[],
): Promise<() => Promise<void>> {
  const before = new Map<string, string>();
  for (const file of limitFiles(hierarchies, path, more)) {
    // A controller that is not there has no limits.
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text !== undefined) before.set(file, text);
  }
  return async () => {
    // Memory is bounded by memory and swap together: which of the two can be written first depends on what they are.
    const files = [...before];
    for (const [file, text] of [...files, ...files]) {
      const now = await readFile(file, "utf8").catch(() => text);
      if (now !== text) await writeFile(file, text).catch(() => undefined);
    }
  };
}

function limitFiles(
  hierarchies: CgroupHierarchies,
  path: string,
  more: readonly string[],
): readonly string[] {
  const inController = (controller: string, names: readonly string[]): readonly string[] => {
    const directory = cgroupDirectory(hierarchies, path, controller);
    return directory === undefined ? [] : names.map((name) => join(directory, name));
  };
  if (hierarchies.version === 2) return inController("", [...filesOfVersion2, ...more]);
  return Object.entries(filesOfVersion1).flatMap(([controller, names]) =>
    inController(controller, names),
  );
}
