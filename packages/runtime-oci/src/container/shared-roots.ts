import { rmdirSync } from "node:fs";
import { chmod, chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "@longshore/core";
import type { SandboxUsers } from "../sandbox/user-namespace.ts";

/** Where root filesystems of user namespaces are mounted. */
const rootsDirectory = "/run/longshore/roots";

/** Name of the mount point in a container's directory there. */
export const rootName = "rootfs";

/**
 * A directory for the root filesystem of a container with a user namespace. The namespace's root has no rights on the host,
 * so every directory above must let it pass, which those of an engine often do not.
 */
export function sharedRoot(containerId: string): string {
  return join(rootsDirectory, containerId);
}

/** Makes it: it lets pass only root, and the namespace's root by its group. */
export async function makeSharedRoot(
  containerId: string,
  { rootGid }: SandboxUsers,
): Promise<void> {
  for (const path of ["/run/longshore", rootsDirectory]) {
    await mkdir(path, { recursive: true });
    await chmod(path, 0o711);
  }
  const directory = sharedRoot(containerId);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chown(directory, 0, rootGid);
  await chmod(directory, 0o710);
}

/** Removes the directory, whose mount point is empty; one that is gone is no error. */
export function removeSharedRoot(containerId: string): void {
  const directory = sharedRoot(containerId);
  try {
    // Most containers have none, which this tells at once.
    rmdirSync(directory);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    if (!hasCode(error, "ENOTEMPTY")) throw error;
    rmdirSync(join(directory, rootName));
    rmdirSync(directory);
  }
}
