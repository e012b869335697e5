import { mkdir, mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { existsSync } from "node:fs";
import { mountedBelow } from "../../src/mount/mounted-at.ts";
import { unmount } from "../../src/mount/unmount.ts";

/** Whether this process can mount. With `CI=true` it must: then the tests fail instead of being skipped. */
export const canMount: boolean =
  process.env["CI"] === "true" || (process.getuid?.() === 0 && existsSync("/dev/fuse"));

/** Open files of `/dev/fuse` in this process. */
async function openFuseFiles(): Promise<string[]> {
  const names = await readdir("/proc/self/fd");
  const links = await Promise.all(
    names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => "")),
  );
  return links.filter((link) => link === "/dev/fuse");
}

/** Directories of a test with mounts. */
export interface MountPlace extends AsyncDisposable {
  readonly path: string;
  /** Makes a directory in it. */
  directory(name: string): Promise<string>;
}

/** Disposing fails when something is still mounted or served, after taking it down. */
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
      if ((await openFuseFiles()).length > 0) left.push("files of /dev/fuse are still open");
      if (left.length > 0) throw new Error(`left behind: ${left.join(", ")}`);
    },
  };
}
