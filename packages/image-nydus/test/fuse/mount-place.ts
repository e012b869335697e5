import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { existsSync } from "node:fs";
import { mountedBelow } from "../../src/mount/mounted-at.ts";
import { unmount } from "../../src/mount/unmount.ts";

/** Whether this process can mount. With `CI=true` it must: then the tests fail instead of being skipped. */
export const canMount: boolean =
  process.env["CI"] === "true" || (process.getuid?.() === 0 && existsSync("/dev/fuse"));

/** Directories of a test with mounts. */
export interface MountPlace extends AsyncDisposable {
  readonly path: string;
  /** Makes a directory in it. */
  directory(name: string): Promise<string>;
}

/** Disposing fails when something is still mounted, after taking it down. */
export async function mountPlace(): Promise<MountPlace> {
  const path = await mkdtemp(join(tmpdir(), "longshore-mount-"));
  return {
    path,
    async directory(name) {
      const made = join(path, name);
      await mkdir(made, { recursive: true });
      return made;
    },
    async [Symbol.asyncDispose]() {
      const left = (await mountedBelow(path)).map(({ target, type }) => `${type} on ${target}`);
      for (const { target } of await mountedBelow(path)) await unmount(target, { how: "force" });
      await rm(path, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`left mounted: ${left.join(", ")}`);
    },
  };
}
