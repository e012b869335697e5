import { resolve } from "node:path";
import { LongshoreError, type Abortable } from "@longshore/core";
import { erofsProgram } from "./mount-programs.ts";
import { mountPath } from "./mounted-at.ts";
import { runPerl } from "./perl.ts";
import { unmount } from "./unmount.ts";

export interface MountErofsOptions extends Abortable {
  /** The filesystem's metadata: an image file or block device */
  readonly bootstrap: string;
  /** Where its data lies, in the order of its device table; none when it is in one file with the metadata */
  readonly devices: readonly string[];
  /** Existing directory */
  readonly target: string;
  /**
   * `"files"` lets the kernel read the files directly, which Linux 6.12 and later can; `"loop"` puts a loop device before
   * each, from Linux 5.16 on. The kernel takes loop devices back when the mount ends. Block devices need `"files"`.
   *
   * @default "files"
   */
  readonly backing?: "files" | "loop" | undefined;
}

/** Most devices that one image can have. */
const maxDevices = 255;

/**
 * Mounts an EROFS image, which RAFS v6 bootstraps are, read-only and without device nodes. Needs root.
 *
 * @throws {LongshoreError} `IO_ERROR` with what the kernel said; `RUNTIME_NOT_SUPPORTED` without Perl;
 *   `VALIDATION_ERROR` for more devices than can be
 */
export async function mountErofs(options: MountErofsOptions): Promise<void> {
  const { bootstrap, devices, target, backing = "files", signal } = options;
  if (devices.length > maxDevices) {
    throw new LongshoreError("VALIDATION_ERROR", `An image has ${maxDevices} devices at most.`, {
      details: { field: "devices", expected: `up to ${maxDevices}`, got: devices.length },
    });
  }
  const path = await mountPath(target);
  const files = [bootstrap, ...devices].map((file) => resolve(file));
  await runPerl(erofsProgram, [backing, path, ...files], { what: `mount ${path}`, signal });
  if (signal?.aborted !== true) return;
  await unmount(path);
  throw signal.reason;
}
