import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { posix } from "node:path";
import { PassThrough, Writable, type Readable } from "node:stream";
import type { Abortable } from "../abortable.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import { execFiles } from "./exec-files.ts";
import { packDirectory, unpackTree, type UnpackOptions } from "./local-archive.ts";
import type { RuntimeClient } from "./runtime-client.ts";
import type { SandboxFiles, WriteFileOptions } from "./sandbox-files.ts";

/** The files of a sandbox, and the ways between them and the files of this machine. */
export interface SandboxFileTree extends Required<SandboxFiles> {
  /** As `write`, for a stream to be piped into; `finish` says that the file is in its place. */
  writeStream(path: string, options?: WriteFileOptions): Writable;
  /**
   * Copies a local file to a path, with its mode; or what is in a local directory into a directory. Links in it stay
   * links. Files that are there already are replaced.
   *
   * @throws {LongshoreError} `NOT_FOUND` for a local path with nothing at it; else as `write` and `unpackTar`
   */
  upload(localPath: string, path: string, options?: Abortable): Promise<void>;
  /**
   * Copies a file or tree to a local path that is free. The sandbox is not trusted: an entry that leads out of the tree is
   * refused, and nothing appears until all of it is there.
   *
   * @throws {LongshoreError} `STATE_CONFLICT`, `LIMIT_EXCEEDED`, `VALIDATION_ERROR` for what is not safe; `NOT_FOUND`
   */
  download(path: string, localPath: string, options?: UnpackOptions): Promise<void>;
}

/** The runtime's own way to the files of a container, and the image's tools for what that lacks. */
export function sandboxFileTree(runtime: RuntimeClient, containerId: string): SandboxFileTree {
  const tools = execFiles(runtime, containerId);
  const own = runtime.files?.({ containerId });
  const base = own ?? tools;

  const files: SandboxFileTree = {
    read: (path, options) => base.read(path, options),
    readText: (path, options) => base.readText(path, options),
    write: (path, content, options) => base.write(path, content, options),
    list: (path, options) => base.list(path, options),
    stat: (path, options) => base.stat(path, options),
    mkdir: (path, options) => base.mkdir(path, options),
    remove: (path, options) => base.remove(path, options),
    readStream: (path, options) =>
      own?.readStream?.(path, options) ?? tools.readStream(path, options),
    packTar: (path, options) => own?.packTar?.(path, options) ?? tools.packTar(path, options),
    unpackTar: (tar, path, options) =>
      own?.unpackTar?.(tar, path, options) ?? tools.unpackTar(tar, path, options),
    watch: (path, options) => own?.watch?.(path, options) ?? tools.watch(path, options),
    writeStream: (path, options) => writeStream(files, path, options),
    async upload(localPath, path, { signal } = {}) {
      signal?.throwIfAborted();
      const local = await stat(localPath).catch((error: unknown) => {
        throw new LongshoreError("NOT_FOUND", `Nothing is at ${localPath} on this machine.`, {
          cause: error,
          details: { path: localPath },
        });
      });
      if (local.isDirectory()) {
        await files.unpackTar(await packDirectory(localPath), path, { signal });
        return;
      }
      if (!local.isFile()) {
        throw new LongshoreError("VALIDATION_ERROR", `${localPath} is no file and no directory.`);
      }
      const mode = local.mode & 0o777;
      await files.write(path, createReadStream(localPath), { mode, signal });
    },
    async download(path, localPath, options = {}) {
      const name = posix.basename(posix.resolve(path));
      if (name === "") {
        throw new LongshoreError("VALIDATION_ERROR", "The root directory cannot be downloaded.");
      }
      const archive: Readable = files.packTar(path, options);
      await unpackTree(archive, { ...options, name, to: localPath });
    },
  };
  return files;
}

function writeStream(
  files: SandboxFiles,
  path: string,
  options: WriteFileOptions | undefined,
): Writable {
  const body = new PassThrough();
  // Told by `writing`, which may not read yet.
  body.on("error", () => undefined);
  const writing = files.write(path, body, options);
  const stream = new Writable({
    write(chunk: Uint8Array, _encoding, callback) {
      if (body.write(chunk)) callback();
      else body.once("drain", callback);
    },
    final(callback) {
      body.end();
      const tell = (): void => callback();
      writing.then(tell, callback);
    },
    destroy(reason, callback) {
      // Without its end the file is not written: the old one stays.
      if (!body.writableEnded) body.destroy(reason ?? new Error("the stream was destroyed"));
      const tell = (): void => callback(reason);
      writing.then(tell, tell);
    },
  });
  writing.catch((error: unknown) => {
    stream.destroy(toError(error));
  });
  return stream;
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
