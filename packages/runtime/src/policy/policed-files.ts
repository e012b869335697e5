import { LongshoreError, type Abortable, type SandboxFiles } from "@longshore/core";

/** Files that ask before each call whether it may be made. */
export function policedFiles(
  find: (options?: Abortable) => Promise<SandboxFiles | undefined>,
): SandboxFiles {
  const allowed = async (options?: Abortable): Promise<SandboxFiles> => {
    const files = await find(options);
    if (files !== undefined) return files;
    throw new LongshoreError("RUNTIME_NOT_SUPPORTED", "The container's files cannot be reached.");
  };
  return {
    read: async (path, options) => (await allowed(options)).read(path, options),
    readText: async (path, options) => (await allowed(options)).readText(path, options),
    write: async (path, content, options) => (await allowed(options)).write(path, content, options),
    list: async (path, options) => (await allowed(options)).list(path, options),
    stat: async (path, options) => (await allowed(options)).stat(path, options),
    mkdir: async (path, options) => (await allowed(options)).mkdir(path, options),
    remove: async (path, options) => (await allowed(options)).remove(path, options),
  };
}
