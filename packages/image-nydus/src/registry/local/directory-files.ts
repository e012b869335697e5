import { constants } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { imageNotFound } from "../registry-errors.ts";
import { readFileRange } from "./file-range.ts";
import type { LayoutFiles } from "./layout-files.ts";

/** The files below a directory. */
export function directoryFiles(directory: string): LayoutFiles {
  return {
    name: directory,
    async size(path) {
      try {
        const found = await stat(join(directory, path));
        return found.isFile() ? found.size : undefined;
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async *read(path, range, options) {
      const handle = await openFile(directory, path);
      try {
        yield* readFileRange(handle, range, options);
      } finally {
        await handle.close();
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function openFile(directory: string, path: string): Promise<FileHandle> {
  try {
    // Without O_NONBLOCK a pipe in place of the file would hold us for ever.
    return await open(join(directory, path), constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isMissing(error))
      throw imageNotFound(`${directory} has no file ${path}.`, { cause: error });
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    (error.code === "ENOENT" || error.code === "ENOTDIR")
  );
}
