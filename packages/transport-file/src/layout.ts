import { lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { LongshoreError } from "@longshore/core";

/** Where everything of one jobs directory is. */
export interface Layout {
  /** The inbox */
  readonly jobs: string;
  readonly claimed: string;
  /** Messages that were given back, with their attempt in the name */
  readonly returned: string;
  readonly done: string;
  readonly failed: string;
  readonly cancel: string;
  readonly results: string;
}

export function layoutOf(jobsDir: string, resultsDir: string): Layout {
  return {
    jobs: jobsDir,
    claimed: join(jobsDir, ".claimed"),
    returned: join(jobsDir, ".returned"),
    done: join(jobsDir, "done"),
    failed: join(jobsDir, "failed"),
    cancel: join(jobsDir, "cancel"),
    results: resultsDir,
  };
}

/**
 * Makes the directories. One that is a link is refused: whoever may write into the inbox could point it elsewhere.
 *
 * @throws {LongshoreError} `TRANSPORT_ERROR`
 */
export async function makeLayout(layout: Layout): Promise<void> {
  await mkdir(layout.jobs, { recursive: true });
  await mkdir(layout.results, { recursive: true });
  for (const path of [layout.claimed, layout.returned, layout.done, layout.failed, layout.cancel]) {
    await mkdir(path, { recursive: true });
    if (!(await lstat(path)).isDirectory()) {
      throw new LongshoreError("TRANSPORT_ERROR", `${path} is not a directory.`, {
        details: { path },
      });
    }
  }
}

/** Whether a name in the inbox is a job's; others are left alone. */
export function isJobFileName(name: string): boolean {
  return !name.startsWith(".") && /\.(json|ya?ml)$/.test(name);
}

export function contentTypeOf(name: string): "application/json" | "application/yaml" {
  return name.endsWith(".json") ? "application/json" : "application/yaml";
}
