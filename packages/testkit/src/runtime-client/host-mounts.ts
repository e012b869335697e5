import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Memory file systems of the host that a case mounted; disposing unmounts them. */
export interface HostMounts extends AsyncDisposable {
  /** Mounts one at a directory, which is made when needed */
  mount(path: string, propagation?: "shared" | "private"): Promise<void>;
}

export function hostMounts(): HostMounts {
  const mounted: string[] = [];
  return {
    async mount(path, propagation) {
      await mkdir(path, { recursive: true });
      await run("mount", ["-t", "tmpfs", "-o", "size=1m", "longshore-suite", path]);
      mounted.push(path);
      if (propagation !== undefined) await run("mount", [`--make-${propagation}`, path]);
    },
    async [Symbol.asyncDispose]() {
      for (const path of mounted.toReversed()) await run("umount", ["-l", path]);
    },
  };
}
