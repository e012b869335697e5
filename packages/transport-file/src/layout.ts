import { randomUUID } from "node:crypto";
import { access, constants, lstat, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isJobId, LongshoreError } from "@longshore/core";
import { toTransportError } from "./fs-error.ts";

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
 * Where a worker's claims are. The id is in a path, so it has the form of a job's.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function claimDirectory(layout: Layout, workerId: string): string {
  if (isJobId(workerId)) return join(layout.claimed, workerId);
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `"${workerId}" cannot be a worker id here: up to 128 letters, digits, ".", "_" and "-" are expected.`,
    { details: { workerId } },
  );
}

/** Where the result of a job is. @throws {LongshoreError} `VALIDATION_ERROR` for what is no job id */
export function resultPath(resultsDir: string, jobId: string): string {
  return join(resultsDir, `${checkedJobId(jobId)}-result.json`);
}

/** Where the events of a job are. @throws {LongshoreError} `VALIDATION_ERROR` for what is no job id */
export function progressPath(resultsDir: string, jobId: string): string {
  return join(resultsDir, `${checkedJobId(jobId)}-progress.jsonl`);
}

/** The id itself, which may be part of a path. @throws {LongshoreError} `VALIDATION_ERROR` for what is no job id */
export function checkedJobId(jobId: string): string {
  if (isJobId(jobId)) return jobId;
  throw new LongshoreError("VALIDATION_ERROR", `"${jobId}" is not a job id.`, {
    details: { jobId },
  });
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
  for (const path of [layout.jobs, layout.results, layout.claimed, layout.done, layout.failed]) {
    await checkWritable(path);
  }
}

/**
 * Makes sure that files can be made in a directory, by making one: permissions alone do not tell on network file systems.
 *
 * @throws {LongshoreError} `TRANSPORT_ERROR`
 */
export async function checkWritable(path: string): Promise<void> {
  const probe = join(path, `.${randomUUID()}.tmp`);
  try {
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
    await writeFile(probe, "", { flag: "wx" });
    await rm(probe, { force: true });
  } catch (error) {
    throw toTransportError(error, `The directory ${path} must be readable and writable`);
  }
}

/** Whether a name in the inbox is a job's; others are left alone. */
export function isJobFileName(name: string): boolean {
  return !name.startsWith(".") && /\.(json|ya?ml)$/.test(name);
}

export function contentTypeOf(name: string): "application/json" | "application/yaml" {
  return name.endsWith(".json") ? "application/json" : "application/yaml";
}
