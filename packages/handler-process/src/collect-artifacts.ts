import { constants } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { LongshoreError, type HandlerContext, type JobRuntime } from "@longshore/core";
import picomatch from "picomatch";

const maxEntries = 100_000;
const maxDepth = 32;

/**
 * Stores the files of the artifacts directory that match `runtime.output.artifacts`. Links, devices and pipes are left
 * out: they could show what the job may not see.
 */
export async function collectArtifacts(
  context: HandlerContext,
  runtime: JobRuntime,
  directory: string,
): Promise<void> {
  const globs = runtime.output?.artifacts ?? [];
  if (globs.length === 0) return;
  const isWanted = picomatch([...globs], { dot: true });
  for await (const path of filesBelow(directory)) {
    if (!isWanted(path)) continue;
    const file = await open(
      join(directory, path),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    try {
      if ((await file.stat()).isFile()) {
        await context.artifact(path, file.createReadStream({ autoClose: false }));
      }
    } finally {
      await file.close();
    }
  }
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
