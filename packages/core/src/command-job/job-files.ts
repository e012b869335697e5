import { chmod, lchown, mkdir, realpath, writeFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobFile, JobRuntime } from "../job/job-document.ts";

/** User and group on the host that a job runs as. */
export interface JobUser {
  readonly uid: number;
  readonly gid: number;
}

export interface JobFilesOptions {
  readonly workDir: string;
  readonly maxBytes: number;
  /** Who is to own the files, when not the worker */
  readonly user: JobUser | undefined;
}

/** Where a job puts the files it wants to keep. */
export function artifactsDirOf(workDir: string): string {
  return join(workDir, "artifacts");
}

/**
 * Lays down `runtime.files` and the artifacts directory in the work directory, which nobody else can write to yet.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `LIMIT_EXCEEDED`
 */
export async function layDownFiles(runtime: JobRuntime, options: JobFilesOptions): Promise<void> {
  const { workDir, user } = options;
  await mkdir(artifactsDirOf(workDir));
  await give(artifactsDirOf(workDir), workDir, user);
  await writeFiles(runtime.files ?? {}, { ...options, field: "runtime.files" });
  if (user !== undefined) await lchown(workDir, user.uid, user.gid);
}

/**
 * Writes files below a directory that nobody else can write to.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `LIMIT_EXCEEDED`
 */
export async function writeFiles(
  files: Readonly<Record<string, JobFile>>,
  options: JobFilesOptions & {
    /** Where the files are in the document */
    readonly field: string;
  },
): Promise<void> {
  const { workDir, maxBytes, user, field } = options;
  let byteCount = 0;
  for (const [path, { content, base64, url, mode = "0644" }] of Object.entries(files)) {
    if (url !== undefined) {
      throw invalid(`${field}.${path}`, "is not fetched from a url; give content or base64");
    }
    const bytes = Buffer.from(content ?? base64 ?? "", content === undefined ? "base64" : "utf8");
    byteCount += bytes.length;
    if (byteCount > maxBytes) {
      throw new LongshoreError("LIMIT_EXCEEDED", `${field} have more than ${maxBytes} bytes.`, {
        phase: "validation",
        details: { maxBytes },
      });
    }
    const target = below(workDir, path, `${field}.${path}`);
    try {
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, bytes, { flag: "wx" });
    } catch (error) {
      // E.g. a file where another one needs a directory; whatever it is, another attempt does not help.
      throw invalid(`${field}.${path}`, "cannot be written", error);
    }
    await chmod(target, Number.parseInt(mode, 8));
    await give(target, workDir, user);
  }
}

/**
 * The directory a job starts in: below the work directory, links resolved; made when it is not there.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export async function startDirectory(
  workDir: string,
  cwd: string | undefined,
  user: JobUser | undefined,
): Promise<string> {
  if (cwd === undefined || resolve(workDir, cwd) === workDir) return workDir;
  const wanted = below(workDir, cwd, "runtime.cwd");
  try {
    await mkdir(wanted, { recursive: true });
  } catch (error) {
    throw invalid("runtime.cwd", "is not a directory", error);
  }
  const actual = await realpath(wanted);
  if (!actual.startsWith((await realpath(workDir)) + sep)) {
    throw invalid("runtime.cwd", "must be below the work directory");
  }
  await give(wanted, workDir, user);
  return wanted;
}

/** Hands a path over to the job's user, with the directories that lead to it. */
export async function give(path: string, root: string, user: JobUser | undefined): Promise<void> {
  if (user === undefined) return;
  for (let current = path; current !== root; current = dirname(current)) {
    await lchown(current, user.uid, user.gid);
  }
}

function below(root: string, path: string, field: string): string {
  const target = resolve(root, path);
  if (target.startsWith(root + sep)) return target;
  throw invalid(field, "must be below the work directory");
}

function invalid(path: string, message: string, cause?: unknown): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", `${path}: ${message}`, {
    phase: "validation",
    details: { issues: [{ path, code: "custom", message }] },
    cause,
  });
}
