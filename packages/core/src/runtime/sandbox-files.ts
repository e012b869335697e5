import type { Readable } from "node:stream";
import type { Abortable } from "../abortable.ts";
import type { FileWatch, WatchFilesOptions } from "./file-watch.ts";

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
 *
 * A runtime with a way of its own to the files may leave out the methods marked `?`; tools of the image serve then.
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
  /** The bytes of a file of any length, as they are read. What goes wrong destroys the stream with the error. */
  readStream?(path: string, options?: Abortable): Readable;
  /** A tar archive of what is at a path, under its own name: `./name`, `./name/below`. */
  packTar?(path: string, options?: Abortable): Readable;
  /** Unpacks a tar archive into a directory, which is made when missing. The files belong to the container's user. */
  unpackTar?(tar: AsyncIterable<Uint8Array>, path: string, options?: Abortable): Promise<void>;
  /** Watches what is at a path; resolves once it is watched. */
  watch?(path: string, options?: WatchFilesOptions): Promise<FileWatch>;
}
