import { constants } from "node:fs";
import { open, readlink, realpath, type FileHandle } from "node:fs/promises";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { LongshoreError } from "@longshore/core";

/** An image file that is open for reading and lies where it may lie. */
export interface ImageFile extends AsyncDisposable {
  /** Absolute, without symbolic links */
  readonly path: string;
  readonly handle: FileHandle;
  /** Bytes */
  readonly size: number;
}

/**
 * Opens an image for reading, if it is a regular file inside one of the roots once all symbolic links are followed.
 *
 * @throws {LongshoreError} `POLICY_DENIED` outside of the roots, `NOT_FOUND`, `VALIDATION_ERROR` for what is no file
 */
export async function openImageFile(path: string, roots: readonly string[]): Promise<ImageFile> {
  // Before anything is looked up: nobody may learn what exists outside of the roots.
  const wanted = resolve(path);
  if (!isAbsolute(path) || !isInside(wanted, roots)) throw denied(path);
  const realRoots = await Promise.all(roots.map((root) => realpath(root)));
  const real = await realpath(wanted).catch((error: unknown) => {
    throw new LongshoreError("NOT_FOUND", `There is no image ${path}.`, { cause: error });
  });
  if (!isInside(real, realRoots)) throw denied(path);
  // Without O_NONBLOCK, opening a pipe would wait for its writer for ever.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(real, flags);
  try {
    // A directory above may have been swapped for a link meanwhile; the kernel knows what was opened.
    if (process.platform === "linux") {
      const opened = await readlink(`/proc/self/fd/${handle.fd}`);
      if (!isInside(opened, realRoots)) throw denied(path);
    }
    const stat = await handle.stat();
    if (!stat.isFile()) {
      throw new LongshoreError("VALIDATION_ERROR", `${path} is not a regular file.`);
    }
    return {
      path: real,
      handle,
      size: stat.size,
      [Symbol.asyncDispose]: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function isInside(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => {
    const below = relative(resolve(root), path);
    return below !== "" && below !== ".." && !below.startsWith(`..${sep}`) && !isAbsolute(below);
  });
}

function denied(path: string): LongshoreError {
  return new LongshoreError(
    "POLICY_DENIED",
    `The image ${path} is not in a directory that disk.inspect may read.`,
    { phase: "validation" },
  );
}
