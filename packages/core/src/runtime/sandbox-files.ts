import type { Abortable } from "../abortable.ts";

/** What stands at a path. */
export interface FileStat {
  /** `"other"`: a device, socket or pipe */
  readonly type: "file" | "directory" | "symlink" | "other";
  /** Bytes */
  readonly size: number;
  /** Permission bits, e.g. `0o644` */
  readonly mode: number;
  readonly modifiedAtMs: number;
}

/** An entry of a directory; a symbolic link is not followed. */
export interface FileEntry extends FileStat {
  /** Without its directory */
  readonly name: string;
}

export interface ReadFileOptions extends Abortable {
  /** A longer file is refused with `LIMIT_EXCEEDED`. @default 16_777_216 */
  readonly maxBytes?: number | undefined;
}

export interface WriteFileOptions extends Abortable {
  /** Permission bits. @default what the container's umask makes of 0o666 */
  readonly mode?: number | undefined;
}

export interface RemoveOptions extends Abortable {
  /** Also removes a directory, with all that is in it. @default false */
  readonly recursive?: boolean | undefined;
}

/**
 * The files inside a container, as its own processes see them.
 *
 * Paths are absolute, `/`-separated, without NUL; anything else is refused with `VALIDATION_ERROR`. A path that does
 * not exist is `NOT_FOUND`, and whatever else goes wrong is `IO_ERROR`. Symbolic links are followed inside the
 * container, never outside of it.
 */
export interface SandboxFiles {
  read(path: string, options?: ReadFileOptions): Promise<Uint8Array>;
  /** As `read`, decoded as UTF-8. */
  readText(path: string, options?: ReadFileOptions): Promise<string>;
  /**
   * Writes a whole file and makes missing directories above it. Readers see the old content or the new, never a part;
   * after an error or abort the old file is still there. A symbolic link at the path itself is replaced.
   */
  write(
    path: string,
    content: string | Uint8Array | AsyncIterable<Uint8Array>,
    options?: WriteFileOptions,
  ): Promise<void>;
  /** What is in a directory, by name. */
  list(path: string, options?: Abortable): Promise<readonly FileEntry[]>;
  /** What a path leads to; `undefined` when nothing is there. */
  stat(path: string, options?: Abortable): Promise<FileStat | undefined>;
  /** Makes a directory and those above it. No error when it is there. */
  mkdir(path: string, options?: Abortable): Promise<void>;
  /** Removes a file or link, or with `recursive` a directory. No error when nothing is there. */
  remove(path: string, options?: RemoveOptions): Promise<void>;
}
