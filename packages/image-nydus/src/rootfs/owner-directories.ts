import { createHash } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** The directories of one owner of a root filesystem. */
export interface OwnerDirectory {
  readonly path: string;
  /** Takes the changes of an overlay */
  readonly upper: string;
  readonly work: string;
  /** Where the whole root filesystem is shown */
  readonly merged: string;
  /** Where the files are copied to; does not exist before */
  readonly copy: string;
  make(): Promise<void>;
  remove(): Promise<void>;
}

/** The directory of an owner below another one. Owners name themselves as they like; directories do not. */
export function ownerDirectory(root: string, owner: string): OwnerDirectory {
  const path = join(root, createHash("sha256").update(owner).digest("hex").slice(0, 40));
  const upper = join(path, "upper");
  const work = join(path, "work");
  const merged = join(path, "merged");
  return {
    path,
    upper,
    work,
    merged,
    copy: join(path, "copy"),
    async make() {
      await mkdir(path, { recursive: true, mode: 0o711 });
      // The mode of the upper directory is that of the root filesystem's root.
      for (const directory of [upper, work, merged]) {
        await mkdir(directory, { recursive: true, mode: 0o755 });
      }
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
}
