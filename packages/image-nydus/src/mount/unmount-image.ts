import { LongshoreError } from "@longshore/core/errors";
import { fuseMountName } from "../fuse/mount-fuse.ts";
import type { MountInfo } from "./mount-info.ts";
import { mountedAt, mountPath } from "./mounted-at.ts";
import { nydusdMountName } from "./nydusd-records.ts";
import { unmount, type UnmountOptions } from "./unmount.ts";

/**
 * Ends the showing of an image at a directory, whichever process began it; also of one whose process was killed. Anything
 * else that is mounted there is left alone.
 *
 * @throws {LongshoreError} `NOT_FOUND` when nothing is mounted there; `STATE_CONFLICT` when it is no image; `IO_ERROR`
 */
export async function unmountImage(target: string, options: UnmountOptions = {}): Promise<void> {
  const path = await mountPath(target);
  const mount = await mountedAt(path);
  if (mount === undefined) {
    throw new LongshoreError("NOT_FOUND", `Nothing is mounted at ${path}.`, {
      details: { target: path },
    });
  }
  if (!isImage(mount)) {
    throw new LongshoreError(
      "STATE_CONFLICT",
      `What is mounted at ${path} is no image, but ${mount.type}; it is left alone.`,
      { details: { target: path, type: mount.type } },
    );
  }
  await unmount(path, options);
}

function isImage({ type, source }: MountInfo): boolean {
  const names: readonly string[] = [fuseMountName, nydusdMountName];
  return type === "erofs" || (type === "fuse" && names.includes(source));
}
