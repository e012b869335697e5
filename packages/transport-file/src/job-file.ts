import { constants } from "node:fs";
import { hasCode, LongshoreError } from "@longshore/core";
import type { FileCalls } from "./file-calls.ts";

const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** What is in a job file, and what tells whether somebody still writes to it. */
export interface JobFile {
  readonly body: Uint8Array;
  readonly modifiedAtMs: number;
  /** Whether another user owns it, who alone may change its times and link it */
  readonly isForeign: boolean;
}

/**
 * Reads a file that anybody may have put there: never through a link, never from a device or pipe, never more than
 * `maxBytes`. `undefined` when it is gone.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for what is not a regular file, `INVALID_BODY` for one that is too large
 */
export async function readJobFile(
  path: string,
  { calls, maxBytes }: { readonly calls: FileCalls; readonly maxBytes: number },
): Promise<JobFile | undefined> {
  let fd;
  try {
    fd = await calls.open(path, readFlags);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    if (hasCode(error, "ELOOP", "ENXIO", "ENODEV")) throw notRegular(error);
    throw error;
  }
  try {
    const { size, mode, mtimeMs, uid } = await calls.fstat(fd);
    if (!isRegular(mode)) throw notRegular();
    if (size > maxBytes) {
      throw new LongshoreError(
        "INVALID_BODY",
        `The job file has ${size} bytes; ${maxBytes} are allowed.`,
        { phase: "validation", details: { size, maxBytes } },
      );
    }
    const buffer = Buffer.allocUnsafe(size);
    const bytesRead = await calls.read(fd, buffer);
    return {
      body: buffer.subarray(0, bytesRead),
      modifiedAtMs: mtimeMs,
      isForeign: isForeign(uid),
    };
  } finally {
    await calls.close(fd);
  }
}

function isForeign(uid: number): boolean {
  const own = process.geteuid?.() ?? 0;
  return own !== 0 && own !== uid;
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
