import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { ByteString } from "../tree/inode.ts";
import { listMounts, type MountInfo } from "./mount-info.ts";

/** Whether something is mounted exactly there. Never touches the mount itself, which may be dead or slow. */
export async function isMounted(target: string): Promise<boolean> {
  return (await mountedAt(target)) !== undefined;
}

/** What is mounted exactly there; the topmost when there are several. */
export async function mountedAt(target: string): Promise<MountInfo | undefined> {
  const path = toTarget(await mountPath(target));
  return listMounts().findLast((mount) => mount.target === path);
}

/** What is mounted there or below, in the order in which it can be taken down. */
export async function mountedBelow(directory: string): Promise<MountInfo[]> {
  const path = toTarget(await mountPath(directory));
  const prefix = path === "/" ? path : `${path}/`;
  const mounts = listMounts();
  return mounts.filter(({ target }) => target === path || target.startsWith(prefix)).toReversed();
}

/**
 * The path under which the kernel knows a mount point: links resolved, except for the last part, since looking at a mount
 * whose server is dead fails.
 */
export async function mountPath(target: string): Promise<string> {
  const path = resolve(target);
  const parent = dirname(path);
  if (parent === path) return path;
  try {
    return join(await realpath(parent), basename(path));
  } catch {
    // No parent, or a dead one: then the path is what it is.
    return path;
  }
}

function toTarget(path: string): ByteString {
  return Buffer.from(path).toString("latin1");
}
