import { chmod, mkdir } from "node:fs/promises";
import { join, posix } from "node:path";
import { artifactsDirOf, layDownFiles, type JobRuntime } from "@longshore/core";
import { invalid } from "./sandbox-wishes.ts";

/** Where a container sees the directory that it shares with the worker. */
const inside = "/work";

/** The directory that a job's container shares with the worker. */
export interface JobPlace {
  /** On the host */
  readonly directory: string;
  /** On the host, for what the job writes; not shared */
  readonly logDirectory: string;
  /** In the container */
  readonly inside: string;
  readonly artifactsDir: string;
  readonly artifactsInside: string;
  /** Directory the job starts in; absent: the image's */
  readonly workingDir: string | undefined;
}

/**
 * Lays down a job's files. A job that has files starts among them, another one where its image says.
 *
 * @param workDir the attempt's own directory, which no other user of the host can list
 * @throws {LongshoreError} `VALIDATION_ERROR`, `LIMIT_EXCEEDED`
 */
export async function jobPlace(
  workDir: string,
  runtime: JobRuntime,
  maxBytes: number,
): Promise<JobPlace> {
  const directory = join(workDir, "work");
  const logDirectory = join(workDir, "log");
  for (const path of [directory, logDirectory]) await mkdir(path);
  await layDownFiles(runtime, { workDir: directory, maxBytes, user: undefined });
  // The image decides who the job is, and its user has another number on each.
  for (const path of [directory, artifactsDirOf(directory)]) await chmod(path, 0o777);
  return {
    directory,
    logDirectory,
    inside,
    artifactsDir: artifactsDirOf(directory),
    artifactsInside: artifactsDirOf(inside),
    workingDir: workingDir(runtime),
  };
}

function workingDir({ cwd, files = {} }: JobRuntime): string | undefined {
  if (cwd === undefined) return Object.keys(files).length === 0 ? undefined : inside;
  if (cwd.includes("\0")) throw invalid("runtime.cwd", "must not contain NUL");
  if (cwd.startsWith("/")) return posix.normalize(cwd);
  const path = posix.join(inside, cwd);
  if (path === inside || path.startsWith(`${inside}/`)) return path;
  throw invalid("runtime.cwd", "must be below the work directory, or absolute");
}
