import {
  LongshoreError,
  openFileWatch,
  type DriverProcess,
  type FileChange,
  type FileWatch,
  type WatchFilesOptions,
} from "@longshore/core";
import { collectText } from "../perl/perl-report.ts";
import { watchProgram } from "../perl/watch-program.ts";
import { fileError, type FileProcesses } from "./file-process.ts";

/** Longer than any path that the kernel takes, with a name below it */
const maxRecordBytes = 65_536;

/**
 * Watches files of a container by inotify(7), without a program of its image.
 *
 * @throws {LongshoreError} `NOT_FOUND`; `LIMIT_EXCEEDED` when the kernel lets this user watch no more
 */
export async function watchContainerFiles(
  processes: FileProcesses,
  path: string,
  { recursive = false, signal }: WatchFilesOptions = {},
): Promise<FileWatch> {
  const order = { program: watchProgram, words: ["watch", path, recursive ? "1" : ""] } as const;
  const process = await processes.start(order, { signal });
  const left = new AbortController();
  const end = signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]);
  const onEnd = (): void => void process.kill();
  end.addEventListener("abort", onEnd, { once: true });
  if (end.aborted) onEnd();
  const close = async (): Promise<void> => {
    left.abort();
    end.removeEventListener("abort", onEnd);
    await process.kill();
  };
  return openFileWatch({ changes: readChanges(process, path, end), close, signal });
}

/** Ends without an error when the watch was given up; whatever else ends it is one. */
async function* readChanges(
  process: DriverProcess,
  path: string,
  end: AbortSignal,
): AsyncGenerator<FileChange | "ready", undefined> {
  const errors = collectText(process.stderr);
  for await (const record of records(process.stdout)) {
    if (end.aborted) return;
    yield record === "ready" ? record : parseChange(record);
  }
  if (end.aborted) return;
  const { exitCode, signal } = await process.exit;
  const report = await errors;
  if (exitCode !== 0 && signal === undefined) throw fileError(path, report);
  const reason = exitCode === 0 ? "nothing is there any more" : "the container has ended";
  throw new LongshoreError("IO_ERROR", `The watch of ${path} has ended: ${reason}.`, {
    details: { path },
  });
}

function parseChange(record: string): FileChange {
  const space = record.indexOf(" ");
  const type = record.slice(0, space);
  const path = record.slice(space + 1);
  switch (type) {
    case "created":
    case "modified":
    case "removed":
    case "overflow":
      return { type, path };
    default:
      throw new LongshoreError("IO_ERROR", `No change is called ${JSON.stringify(type)}.`);
  }
}

/** Texts that each end with NUL. */
async function* records(source: AsyncIterable<Uint8Array>): AsyncGenerator<string, undefined> {
  let begun = Buffer.alloc(0);
  for await (const chunk of source) {
    begun = Buffer.concat([begun, chunk]);
    let start = 0;
    for (let stop = begun.indexOf(0); stop !== -1; stop = begun.indexOf(0, start)) {
      yield begun.toString("utf8", start, stop);
      start = stop + 1;
    }
    begun = begun.subarray(start);
    if (begun.length <= maxRecordBytes) continue;
    throw new LongshoreError("LIMIT_EXCEEDED", "A path is too long to be watched.");
  }
}
