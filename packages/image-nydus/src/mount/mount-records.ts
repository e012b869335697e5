import { realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import { isProcessAlive, ownProcessIdentity } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { listMounts } from "./mount-info.ts";
import { mountRecordFiles, type MountRecord } from "./mount-record.ts";
import { isMounted, mountPath } from "./mounted-at.ts";
import { unmount } from "./unmount.ts";

/** Knows which mounts below a directory belong to which process, also after that process is gone. */
export interface MountRecords {
  /**
   * Mounts something so that a crash at any point leaves nothing that `recover` does not find. Disposing the result
   * disposes what `mount` returned, or else unmounts, and forgets the record.
   *
   * @param target below the directory
   * @throws {LongshoreError} `STATE_CONFLICT` when the target is recorded already; `VALIDATION_ERROR` when it lies elsewhere;
   *   what `mount` throws
   */
  mount(
    target: string,
    mount: () => Promise<AsyncDisposable | undefined>,
  ): Promise<AsyncDisposable>;
  /**
   * Unmounts what processes left that no longer run, topmost first, and returns the targets. Mounts of running processes
   * are left alone, and so is everything outside the directory, whatever a record says.
   */
  recover(): Promise<readonly string[]>;
}

/** @param directory exists; the records lie in its folder `mounts` */
export function mountRecords(directory: string): MountRecords {
  const files = mountRecordFiles(join(directory, "mounts"));

  const inside = async (target: string): Promise<string | undefined> => {
    const [root, path] = await Promise.all([realpath(directory), mountPath(target)]);
    return isBelow(path, root) && path !== root ? path : undefined;
  };

  const release = async (target: string, mounted: AsyncDisposable | undefined): Promise<void> => {
    await mounted?.[Symbol.asyncDispose]();
    await unmount(target);
    await files.remove(target);
  };

  return {
    async mount(target, mount) {
      const path = await inside(target);
      if (path === undefined) {
        throw new LongshoreError("VALIDATION_ERROR", `${target} does not lie below ${directory}.`, {
          details: { field: "target", expected: `a path below ${directory}` },
        });
      }
      if (!(await files.add({ target: path, owner: await ownProcessIdentity() }))) {
        throw new LongshoreError("STATE_CONFLICT", `${path} is in use by another mount.`, {
          details: { target: path, owner: (await files.read(path))?.owner.pid },
        });
      }
      let mounted: AsyncDisposable | undefined;
      try {
        mounted = await mount();
      } catch (error) {
        if (!(await isMounted(path))) await files.remove(path);
        throw error;
      }
      let released: Promise<void> | undefined;
      return {
        [Symbol.asyncDispose]: () => (released ??= release(path, mounted)),
      };
    },

    async recover() {
      await files.removeDrafts();
      const dead: MountRecord[] = [];
      const held: string[] = [];
      for (const record of await files.list()) {
        if ((await inside(record.target)) !== record.target) continue;
        if (await isProcessAlive(record.owner)) held.push(record.target);
        else dead.push(record);
      }
      const isLeft = (path: string): boolean =>
        dead.some(({ target }) => isBelow(path, target)) &&
        !held.some((target) => isBelow(path, target));
      const mounts = listMounts().map(({ target }) => Buffer.from(target, "latin1").toString());
      // Later ones lie over earlier ones.
      const left = [...new Set(mounts.toReversed().filter(isLeft))];
      for (const target of left) await unmount(target);
      for (const { target } of dead) await files.remove(target);
      return left;
    },
  };
}

function isBelow(path: string, directory: string): boolean {
  const way = relative(directory, path);
  return way !== ".." && !way.startsWith("../");
}
