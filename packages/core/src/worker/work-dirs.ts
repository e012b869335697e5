import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { partialArtifactsDir } from "../handler/artifact-writer.ts";
import type { WorkerSetup } from "./worker-setup.ts";
import { hasCode } from "../errors/has-code.ts";

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
