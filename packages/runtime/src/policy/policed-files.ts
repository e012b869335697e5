import { Readable } from "node:stream";
import { LongshoreError, type Abortable, type SandboxFiles } from "@longshore/core";

/**
 * Files that ask before each call whether it may be made.
 *
 * @param own what the container's files can do
 * @param find asks, and finds them anew
 */
export function policedFiles(
  own: SandboxFiles,
  find: (options?: Abortable) => Promise<SandboxFiles | undefined>,
): SandboxFiles {
  const allowed = async (options?: Abortable): Promise<SandboxFiles> => {
    const files = await find(options);
    if (files !== undefined) return files;
    throw unreachable();
  };
  const stream = (
    open: (files: SandboxFiles) => Readable | undefined,
    options: Abortable = {},
  ): Readable => {
    async function* bytes(): AsyncGenerator<Uint8Array, undefined> {
      const source = open(await allowed(options));
      if (source === undefined) throw unreachable();
      yield* source;
    }
    return Readable.from(bytes(), { objectMode: false, signal: options.signal });
  };
  return {
    read: async (path, options) => (await allowed(options)).read(path, options),
    readText: async (path, options) => (await allowed(options)).readText(path, options),
    write: async (path, content, options) => (await allowed(options)).write(path, content, options),
    list: async (path, options) => (await allowed(options)).list(path, options),
    stat: async (path, options) => (await allowed(options)).stat(path, options),
    mkdir: async (path, options) => (await allowed(options)).mkdir(path, options),
    remove: async (path, options) => (await allowed(options)).remove(path, options),
    ...(own.readStream !== undefined && {
      readStream: (path, options) => stream((files) => files.readStream?.(path, options), options),
    }),
    ...(own.packTar !== undefined && {
      packTar: (path, options) => stream((files) => files.packTar?.(path, options), options),
    }),
    ...(own.unpackTar !== undefined && {
      unpackTar: async (tar, path, options) => {
        const files = await allowed(options);
        if (files.unpackTar === undefined) throw unreachable();
        await files.unpackTar(tar, path, options);
      },
    }),
    ...(own.watch !== undefined && {
      watch: async (path, options) => {
        const files = await allowed(options);
        if (files.watch === undefined) throw unreachable();
        return files.watch(path, options);
      },
    }),
  };
}

function unreachable(): LongshoreError {
  return new LongshoreError("RUNTIME_NOT_SUPPORTED", "The container's files cannot be reached.");
}
