import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { mountedBelow } from "../mount/mounted-at.ts";
import { removeSmall } from "../mount/remove-small.ts";
import { unmount } from "../mount/unmount.ts";

/** The directories of one owner of a root filesystem. */
export interface OwnerDirectory {
  /** Where the whole root filesystem is shown */
  readonly merged: string;
  /** What is written over the image */
  readonly upper: string;
  /** All files, where they are copied */
  readonly copy: string;
  /** Makes the directories that an overlay needs. */
  makeMountPoints(): Promise<WritableDirectories>;
  /**
   * A directory that is filled before it appears under its name, so that what a crash has cut off is never taken for whole;
   * one that is there already is left as it is.
   *
   * @returns its path
   */
  fill(name: "upper" | "copy", fill: (path: string) => Promise<void>): Promise<string>;
  /** Deletes everything, and takes down before what is mounted there. */
  remove(): Promise<void>;
}

interface WritableDirectories {
  readonly work: string;
  readonly merged: string;
}

/** The directory of an owner below another one. Owners name themselves as they like; directories do not. */
export function ownerDirectory(root: string, owner: string): OwnerDirectory {
  const path = join(root, createHash("sha256").update(owner).digest("hex").slice(0, 40));
  const merged = join(path, "merged");
  const work = join(path, "work");
  return {
    merged,
    upper: join(path, "upper"),
    copy: join(path, "copy"),
    async makeMountPoints() {
      for (const directory of [work, merged]) {
        mkdirSync(directory, { recursive: true, mode: 0o711 });
      }
      return { work, merged };
    },
    async fill(name, fill) {
      const whole = join(path, name);
      if (existsSync(whole)) return whole;
      const partial = `${whole}.partial`;
      if (existsSync(partial)) await rm(partial, { recursive: true, force: true });
      mkdirSync(path, { recursive: true, mode: 0o711 });
      await fill(partial);
      renameSync(partial, whole);
      return whole;
    },
    async remove() {
      if (await removeSmall(path)) return;
      // Deleting through a mount would delete what it shows.
      for (const { target } of await mountedBelow(path)) await unmount(target);
      await rm(path, { recursive: true, force: true });
    },
  };
}
