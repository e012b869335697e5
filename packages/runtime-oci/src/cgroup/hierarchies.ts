import { readdirSync, rmdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "@longshore/core";
import { parseMountInfo } from "../spec/mount-info.ts";

/** Where cgroups lie on this machine. */
export interface CgroupHierarchies {
  /** 1 for the hybrid layout as well */
  readonly version: 1 | 2;
  /** Mount points by controller; with version 2 all are the same, under `""` */
  readonly mountPoints: ReadonlyMap<string, string>;
}

/** Finds the mounted hierarchies; `undefined` when there are none that this program may use. */
export async function findHierarchies(): Promise<CgroupHierarchies | undefined> {
  const mounts = parseMountInfo(await readFile("/proc/self/mountinfo", "utf8"));
  const root = mounts.findLast(({ mountPoint }) => mountPoint === "/sys/fs/cgroup");
  if (root?.filesystem === "cgroup2") {
    return { version: 2, mountPoints: new Map([["", "/sys/fs/cgroup"]]) };
  }
  const mountPoints = new Map<string, string>();
  for (const { filesystem, mountPoint, superOptions } of mounts) {
    if (filesystem === "cgroup2") mountPoints.set("unified", mountPoint);
    if (filesystem !== "cgroup") continue;
    for (const option of superOptions) {
      if (controllers.has(option)) mountPoints.set(option, mountPoint);
    }
  }
  return mountPoints.has("freezer") ? { version: 1, mountPoints } : undefined;
}

const controllers = new Set([
  "blkio",
  "cpu",
  "cpuacct",
  "cpuset",
  "devices",
  "freezer",
  "hugetlb",
  "memory",
  "misc",
  "name=systemd",
  "net_cls",
  "net_prio",
  "perf_event",
  "pids",
  "rdma",
]);

/** Directory of a cgroup in the hierarchy of a controller. */
export function cgroupDirectory(
  { version, mountPoints }: CgroupHierarchies,
  path: string,
  controller: string,
): string | undefined {
  const mountPoint = mountPoints.get(version === 2 ? "" : controller);
  return mountPoint === undefined ? undefined : join(mountPoint, path);
}

/** Every directory that a cgroup may have. */
export function cgroupDirectories(
  { mountPoints }: CgroupHierarchies,
  path: string,
): readonly string[] {
  return [...new Set([...mountPoints.values()].map((mountPoint) => join(mountPoint, path)))];
}

/** Removes an empty cgroup with those below it; one that is gone, or still has processes, is no error. */
export function removeCgroup(directory: string): void {
  // The kernel's own files wait for no disk, and there are a dozen hierarchies: asking other threads would take longer.
  if (isRemoved(directory)) return;
  let names: string[] = [];
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    // Gone: so is what was below.
    return;
  }
  for (const name of names) removeCgroup(join(directory, name));
  if (names.length > 0) isRemoved(directory);
}

/** `false` for one that is busy, or has others below it; a later removal of the sandbox tries again. */
function isRemoved(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    return hasCode(error, "ENOENT");
  }
}
