import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { LongshoreError } from "@longshore/core";
import { hasCode } from "./fs-error.ts";

/** What is in a job file, and what tells whether somebody still writes to it. */
export interface JobFile {
  readonly body: Uint8Array;
  readonly modifiedAtMs: number;
  readonly changedAtMs: number;
}

/** What a job file says about itself, as far as it can be read. */
export interface JobPeek {
  readonly jobId?: string | undefined;
  readonly priority: number;
  readonly createdAt: string;
}

const defaultPriority = 5;

/**
 * Reads a file that anybody may have put there: never through a link, never from a device or pipe, never more than
 * `maxBytes`. `undefined` when it is gone.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for what is not a regular file, `INVALID_BODY` for one that is too large
 */
export async function readJobFile(path: string, maxBytes: number): Promise<JobFile | undefined> {
  let file;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    if (hasCode(error, "ELOOP", "ENXIO", "ENODEV")) throw notRegular(error);
    throw error;
  }
  try {
    const { size, mtimeMs, ctimeMs, ...stats } = await file.stat();
    if (!isRegular(stats.mode)) throw notRegular();
    if (size > maxBytes) {
      throw new LongshoreError(
        "INVALID_BODY",
        `The job file has ${size} bytes; ${maxBytes} are allowed.`,
        { phase: "validation", details: { size, maxBytes } },
      );
    }
    const buffer = Buffer.allocUnsafe(size);
    const { bytesRead } = await file.read(buffer, 0, size, 0);
    return {
      body: buffer.subarray(0, bytesRead),
      modifiedAtMs: mtimeMs,
      changedAtMs: ctimeMs,
    };
  } finally {
    await file.close();
  }
}

/** Looks into a job file: for its place in the order and its id, which the worker checks properly later. */
export function peek(body: Uint8Array, isJson: boolean): JobPeek | undefined {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString();
  return isJson ? peekJson(text) : peekYaml(text);
}

function peekJson(text: string): JobPeek | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not complete, or not JSON: the worker says which, once the file is stable.
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { job_id: jobId, created_at: createdAt, execution } = value as Record<string, unknown>;
  const priority =
    typeof execution === "object" && execution !== null && "priority" in execution
      ? execution.priority
      : undefined;
  return {
    ...(typeof jobId === "string" && { jobId }),
    priority: typeof priority === "number" ? priority : defaultPriority,
    createdAt: typeof createdAt === "string" ? createdAt : "",
  };
}

function peekYaml(text: string): JobPeek {
  const line = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1];
  const jobId = line(/^job_id:[ \t]*["']?([^\s"'#]{1,128})/m);
  return {
    ...(jobId !== undefined && { jobId }),
    priority: Number(line(/^[ \t]+priority:[ \t]*(\d{1,2})/m) ?? defaultPriority),
    createdAt: line(/^created_at:[ \t]*["']?([^\s"'#]{1,40})/m) ?? "",
  };
}

function isRegular(mode: number): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFREG;
}

function notRegular(cause?: unknown): LongshoreError {
  return new LongshoreError(
    "VALIDATION_ERROR",
    "A job must be a regular file; links, pipes and devices are refused.",
    { phase: "validation", cause },
  );
}
