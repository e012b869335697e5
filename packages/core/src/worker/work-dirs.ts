import { readdir, rm, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { hasCode } from "../errors/has-code.ts";
import { partialArtifactsDir } from "../handler/artifact-writer.ts";
import type { WorkerSetup } from "./worker-setup.ts";

/** Removes what earlier processes of this worker left: work directories and artifacts that are not complete. */
export async function removeLeftovers(
  worker: Pick<WorkerSetup, "id" | "workRoot" | "artifactsRoot">,
): Promise<void> {
  await removeDir(partialArtifactsDir(worker.artifactsRoot, worker.id));
  await removeNeighbours(worker.workRoot);
}

/** @param workRoot directory of this process, `<...>/<worker id>/<instance>` */
async function removeNeighbours(workRoot: string): Promise<void> {
  const workerDir = dirname(workRoot);
  let names: readonly string[];
  try {
    names = await readdir(workerDir);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    throw error;
  }
  for (const name of names) {
    if (name !== basename(workRoot)) await removeDir(join(workerDir, name));
  }
}

/** Removes a directory with all that is in it; none is fine. */
export async function removeDir(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 3 });
}

/** Removes a directory, and those in it, as far as they hold no files. */
export async function removeEmptyDirs(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (entry.isDirectory()) await removeEmptyDirs(join(path, entry.name));
  }
  await rmdir(path).catch(() => undefined);
}
