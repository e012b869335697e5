import { constants } from "node:fs";
import { lstat, open, readdir, readlink, realpath, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { isLongshoreError, LongshoreError } from "../errors/longshore-error.ts";
import type { HandlerContext } from "../handler/handler-context.ts";

const maxEntries = 100_000;
const maxDepth = 32;
/** Longer ones are no artifacts */
const maxPathLength = 1_024;

/**
 * Stores the files of the artifacts directory that are wanted. Links, devices and pipes are left out: they could show
 * what the job may not see.
 *
 * @throws {LongshoreError} `LIMIT_EXCEEDED`, `EXECUTION_ERROR`, `IO_ERROR`
 */
export async function collectArtifacts(
  context: HandlerContext,
  directory: string,
  isWanted: (path: string) => boolean,
): Promise<void> {
  try {
    if (!(await lstat(directory)).isDirectory()) throw replaced(directory);
    const root = await realpath(directory);
    for await (const path of filesBelow(root)) {
      context.signal.throwIfAborted();
      if (path.length > maxPathLength || !isWanted(path)) continue;
      await store(context, root, path);
    }
  } catch (error) {
    context.signal.throwIfAborted();
    if (isLongshoreError(error)) throw error;
    throw new LongshoreError("IO_ERROR", "The artifacts could not be read.", { cause: error });
  }
}

async function store(context: HandlerContext, root: string, path: string): Promise<void> {
  const file = await open(
    join(root, path),
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  );
  try {
    if (!(await file.stat()).isFile()) return;
    if ((await pathOf(file, join(root, path))) !== join(root, path)) throw replaced(path);
    await context.artifact(path, file.createReadStream({ autoClose: false }));
  } finally {
    await file.close();
  }
}

/** Where an open file really is, so that a directory that became a link in between leads nowhere. */
async function pathOf(file: FileHandle, expected: string): Promise<string> {
  return process.platform === "linux" ? readlink(`/proc/self/fd/${file.fd}`) : expected;
}

async function* filesBelow(root: string): AsyncGenerator<string> {
  let entryCount = 0;
  const waiting: { readonly path: string; readonly depth: number }[] = [{ path: "", depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { path, depth } = next;
    const entries = await readdir(join(root, path), { withFileTypes: true });
    entryCount += entries.length;
    if (entryCount > maxEntries) {
      throw new LongshoreError("LIMIT_EXCEEDED", `More than ${maxEntries} files in the artifacts.`);
    }
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const entryPath = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.isFile()) yield entryPath;
      else if (entry.isDirectory() && depth < maxDepth) {
        waiting.push({ path: entryPath, depth: depth + 1 });
      }
    }
  }
}

function replaced(path: string): LongshoreError {
  return new LongshoreError("EXECUTION_ERROR", `"${path}" was replaced by something else.`, {
    phase: "output",
    retryable: false,
  });
}
