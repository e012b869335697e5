import { lstat, opendir } from "node:fs/promises";
import { join } from "node:path";
import { nanosecondsFromMs, type ContainerStats, type FilesystemUsage } from "@longshore/core";
import { readUsage } from "../cgroup/read-usage.ts";
import type { ContainerContext } from "./container-context.ts";

/** What a container uses now; one that has ended shows zeros. */
export async function containerStats(
  context: ContainerContext,
): Promise<Omit<ContainerStats, "attributes">> {
  const { sandbox, cgroup } = context;
  const { cpu, memory, swap, io } = await readUsage(sandbox.runtime.hierarchies, cgroup);
  return { cpu, memory, swap, io, writableLayer: await writableLayer(context) };
}

/** What the container wrote over its image; absent when it cannot write. */
async function writableLayer({
  spec: { rootfs },
}: ContainerContext): Promise<FilesystemUsage | undefined> {
  const path = rootfs.kind === "overlay" ? rootfs.upper?.upperDir : undefined;
  if (path === undefined) return undefined;
  const { bytes, inodes } = await countFiles(path);
  return {
    timestamp: nanosecondsFromMs(Date.now()),
    fsId: { mountpoint: path },
    usedBytes: bytes,
    inodesUsed: inodes,
  };
}

const blockBytes = 512;
/** A layer with more is counted in part: a reading must end */
const maxInodes = 1_000_000;

/** Space and inodes of a tree that changes meanwhile; a file with several names counts once. */
async function countFiles(path: string): Promise<{ bytes: number; inodes: number }> {
  const seen = new Set<number>();
  let bytes = 0;
  let inodes = 0;
  const open = [path];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    try {
      for await (const entry of await opendir(next)) {
        if (inodes >= maxInodes) return { bytes, inodes };
        const file = join(next, entry.name);
        const { ino, nlink, blocks } = await lstat(file);
        if (entry.isDirectory()) open.push(file);
        else if (nlink > 1 && seen.has(ino)) continue;
        else if (nlink > 1) seen.add(ino);
        bytes += blocks * blockBytes;
        inodes++;
      }
    } catch {
      // Removed while it was counted.
    }
  }
  return { bytes, inodes };
}
