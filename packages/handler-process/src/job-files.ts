import { chown, lstat, mkdir, realpath, writeFile } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import { LongshoreError, type JobRuntime } from "@longshore/core";

export interface JobFilesOptions {
  readonly workDir: string;
  readonly maxBytes: number;
  /** Who is to own the files, when not the worker */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/**
 * Lays down `runtime.files` in the work directory, which nobody else can write to yet.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, `LIMIT_EXCEEDED`
 */
export async function layDownFiles(runtime: JobRuntime, options: JobFilesOptions): Promise<void> {
  const { workDir, maxBytes, owner } = options;
  let byteCount = 0;
  for (const [path, { content, base64, url, mode = "0644" }] of Object.entries(
    runtime.files ?? {},
  )) {
    if (url !== undefined || (content === undefined) === (base64 === undefined)) {
      throw invalid(`runtime.files.${path}`, "must have either content or base64");
    }
    const bytes = Buffer.from(content ?? base64 ?? "", content === undefined ? "base64" : "utf8");
    byteCount += bytes.length;
    if (byteCount > maxBytes) {
      throw new LongshoreError(
        "LIMIT_EXCEEDED",
        `runtime.files have more than ${maxBytes} bytes.`,
        {
          phase: "validation",
          details: { maxBytes },
        },
      );
    }
    const target = resolve(workDir, path);
    if (!target.startsWith(workDir + sep)) {
      throw invalid(`runtime.files.${path}`, "must be below the work directory");
    }
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, bytes, { flag: "wx", mode: Number.parseInt(mode, 8) });
    if (owner !== undefined) await chownUpTo(target, workDir, owner);
  }
  if (owner !== undefined) await chown(workDir, owner.uid, owner.gid);
}

/**
 * The directory a job starts in: below the work directory, links resolved.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export async function startDirectory(workDir: string, cwd: string | undefined): Promise<string> {
  if (cwd === undefined) return workDir;
  const wanted = resolve(workDir, cwd);
  const root = await realpath(workDir);
  if (wanted !== workDir && !wanted.startsWith(workDir + sep)) {
    throw invalid("runtime.cwd", "must be below the work directory");
  }
  await mkdir(wanted, { recursive: true });
  const actual = await realpath(wanted);
  if (actual !== root && !actual.startsWith(root + sep)) {
    throw invalid("runtime.cwd", "must be below the work directory");
  }
  return actual;
}

async function chownUpTo(
  path: string,
  root: string,
  { uid, gid }: { readonly uid: number; readonly gid: number },
): Promise<void> {
  for (let current = path; current !== root; current = dirname(current)) {
    if (!(await lstat(current)).isSymbolicLink()) await chown(current, uid, gid);
  }
}

export function artifactsDirOf(workDir: string): string {
  return join(workDir, "artifacts");
}

function invalid(path: string, message: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", `${path}: ${message}`, {
    phase: "validation",
    details: { issues: [{ path, code: "custom", message }] },
  });
}
