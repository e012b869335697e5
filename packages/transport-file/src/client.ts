import { watch } from "node:fs";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  decodeJobError,
  decodeJobEvent,
  decodeJobResult,
  encodeJobDocument,
  hasCode,
  LongshoreError,
  type Abortable,
  type JobDocument,
  type JobEvent,
  type JobResult,
} from "@longshore/core";
import { syncDirectory, writeWhole } from "@longshore/core/files";
import { checkedJobId, progressPath, resultPath } from "./layout.ts";

/** Puts a job into an inbox, whole or not at all. Returns the path of the file. */
export async function submitJobFile(options: {
  readonly jobsDir: string;
  readonly document: JobDocument;
}): Promise<string> {
  const { jobsDir, document } = options;
  const path = join(jobsDir, `${checkedJobId(document.jobId)}.json`);
  await mkdir(jobsDir, { recursive: true });
  const content = `${JSON.stringify(encodeJobDocument(document), null, 2)}\n`;
  // Whoever asked for the job is not the one who runs it.
  await writeWhole(path, content, { mode: 0o644 });
  await syncDirectory(jobsDir);
  return path;
}

/** Asks whichever worker has the job to end it. */
export async function requestCancel(options: {
  readonly jobsDir: string;
  readonly jobId: string;
}): Promise<void> {
  const { jobsDir, jobId } = options;
  const path = join(jobsDir, "cancel", checkedJobId(jobId));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, "");
}

export interface WaitOptions extends Abortable {
  readonly jobsDir: string;
  readonly resultsDir: string;
  readonly jobId: string;
}

/**
 * Waits for the result of a job that {@link submitJobFile} put into the inbox.
 *
 * @throws {LongshoreError} the worker's reason when it refused the job
 */
export async function waitForResult(options: WaitOptions): Promise<JobResult> {
  const { jobsDir, resultsDir, jobId, signal } = options;
  const failedDir = join(jobsDir, "failed");
  const answer = resultPath(resultsDir, jobId);
  await mkdir(resultsDir, { recursive: true });
  await mkdir(failedDir, { recursive: true });
  for await (const _change of changes([resultsDir, failedDir], signal)) {
    const refusal = await readIfThere(join(failedDir, `${jobId}.error.json`));
    // Looked for in this order: a job that failed leaves an error too, but its result is there before that.
    const result = await readIfThere(answer);
    if (result !== undefined) return decodeJobResult(JSON.parse(result));
    if (refusal === undefined) continue;
    const { code, message, details, recoverable } = decodeJobError(JSON.parse(refusal));
    throw new LongshoreError(code, message, {
      retryable: recoverable,
      ...(details !== undefined && { details }),
    });
  }
  throw new LongshoreError("INTERNAL_ERROR", "The wait for the result ended early.");
}

/** The events of a job as they are written, from the first one on; ends when `signal` aborts. */
export async function* followProgress(
  options: Pick<WaitOptions, "resultsDir" | "jobId" | "signal">,
): AsyncGenerator<JobEvent> {
  const { resultsDir, jobId, signal } = options;
  const path = progressPath(resultsDir, jobId);
  await mkdir(resultsDir, { recursive: true });
  let offset = 0;
  for await (const _change of changes([resultsDir], signal)) {
    for (;;) {
      const text = await readFrom(path, offset);
      if (text === "") break;
      offset += Buffer.byteLength(text);
      for (const line of text.trimEnd().split("\n")) yield decodeJobEvent(JSON.parse(line));
    }
  }
}

/** Yields at once, and again whenever something changes in one of the directories. */
async function* changes(
  directories: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<void> {
  signal?.throwIfAborted();
  let wake: (() => void) | undefined;
  let hasChanged = true;
  const notice = (): void => {
    hasChanged = true;
    wake?.();
  };
  const watchers = directories.map((directory) => watch(directory, notice));
  signal?.addEventListener("abort", notice, { once: true });
  try {
    for (;;) {
      signal?.throwIfAborted();
      if (hasChanged) {
        hasChanged = false;
        yield;
        continue;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    for (const watcher of watchers) watcher.close();
    signal?.removeEventListener("abort", notice);
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

const chunkBytes = 1_048_576;

/** Whole lines from there on, at most so many; nothing when there is none. */
async function readFrom(path: string, offset: number): Promise<string> {
  let file;
  try {
    file = await open(path, "r");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return "";
    throw error;
  }
  try {
    const buffer = Buffer.alloc(chunkBytes);
    const { bytesRead } = await file.read(buffer, 0, chunkBytes, offset);
    // Only whole lines: a character at the end may be cut.
    const end = buffer.subarray(0, bytesRead).lastIndexOf("\n") + 1;
    return buffer.subarray(0, end).toString();
  } finally {
    await file.close();
  }
}
