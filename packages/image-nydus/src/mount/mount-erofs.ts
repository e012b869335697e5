import { open } from "node:fs/promises";
import { resolve } from "node:path";
import type { Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
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

/**
 * Mounts an EROFS image, which RAFS v6 bootstraps are, read-only and without device nodes. Needs root.
 *
 * @throws {LongshoreError} `IO_ERROR` with what the kernel said; `RUNTIME_NOT_SUPPORTED` without Perl;
 *   `VALIDATION_ERROR` when the image has another number of devices; `IMAGE_CHECKSUM_MISMATCH` when it is none
 */
export async function mountErofs(options: MountErofsOptions): Promise<void> {
  const { bootstrap, devices, target, backing = "files", signal } = options;
  await checkDevices(bootstrap, devices.length);
  const path = await mountPath(target);
  const files = [bootstrap, ...devices].map((file) => resolve(file));
  await runPerl(erofsProgram, [path, backing, ...files], { what: `mount ${path}`, signal });
  if (signal?.aborted !== true) return;
  await unmount(path);
  throw signal.reason;
}

/** The kernel would only say "invalid", and tell its log why. */
async function checkDevices(bootstrap: string, given: number): Promise<void> {
  const superblock = await readSuperblock(bootstrap);
  const isErofs = superblock.length === 128 && superblock.readUInt32LE(0) === 0xe0f5e1e2;
  if (!isErofs) {
    throw new LongshoreError("IMAGE_CHECKSUM_MISMATCH", `${bootstrap} is no EROFS filesystem.`, {
      details: { bootstrap },
    });
  }
  const hasTable = (superblock.readUInt32LE(80) & 0x8) !== 0;
  const wanted = hasTable ? superblock.readUInt16LE(86) : 0;
  if (given === 0 || given === wanted) return;
  const expected = wanted === 0 ? "none" : `${wanted} or none`;
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `The image takes ${expected} as devices, not ${given}.`,
    {
      details: { field: "devices", expected, got: given },
    },
  );
}

async function readSuperblock(bootstrap: string): Promise<Buffer> {
  try {
    await using file = await open(bootstrap);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(128), 0, 128, 1_024);
    return buffer.subarray(0, bytesRead);
  } catch (cause) {
    throw new LongshoreError("IO_ERROR", `${bootstrap} cannot be read.`, {
      cause,
      details: { bootstrap },
    });
  }
}
