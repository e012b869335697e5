import type { Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { isMounted, mountPath } from "./mounted-at.ts";
import { unmountProgram } from "./mount-programs.ts";
import { failedWith, runPerl } from "./perl.ts";

export interface UnmountOptions extends Abortable {
  /**
   * What happens to those who still use it. `"gentle"`: it disappears from the tree, and they may finish. `"force"`: a
   * filesystem with a server of its own is cut off from it at once, everywhere; they get errors.
   *
   * @default "gentle"
   */
  readonly how?: "gentle" | "force" | undefined;
}

/** A target may carry several mounts, one over the other. More than this is an accident. */
const maxLayers = 16;

/**
 * Unmounts everything mounted exactly at a path. Idempotent; a path with nothing on it is no error.
 *
 * @throws {LongshoreError} `IO_ERROR`
 */
export async function unmount(target: string, options: UnmountOptions = {}): Promise<void> {
  const { how = "gentle", signal } = options;
  const path = await mountPath(target);
  for (let layer = 0; layer < maxLayers; layer += 1) {
    signal?.throwIfAborted();
    if (!(await isMounted(path))) return;
    try {
      await runPerl(unmountProgram, [how, path], { what: `unmount ${path}` });
    } catch (error) {
      // Somebody else was quicker.
      if (!failedWith(error, "EINVAL") || (await isMounted(path))) throw error;
    }
  }
  throw new LongshoreError("IO_ERROR", `${path} is mounted more than ${maxLayers} times.`, {
    details: { target: path },
  });
}
