import { hasCode, LongshoreError, type Abortable, type Nanoseconds } from "@longshore/core";
import { watchDirectory, type DirectoryChanges } from "./directory-changes.ts";
import { findTail } from "./find-tail.ts";
import { lookAt, openLogFiles, type LogFile } from "./log-files.ts";
import { formatLogTime, parseLogLine, type LogEntry } from "./log-line.ts";
import { lineReader, type LineReader } from "./read-lines.ts";

export interface ReadLogOptions extends Abortable {
  /** Waits for more at the end, until `signal` aborts or `until` settles. @default false */
  readonly follow?: boolean | undefined;
  /** With `follow`: when it settles, what is there is read and the reading ends; e.g. the end of the container */
  readonly until?: Promise<unknown> | undefined;
  /** Only the last lines; those that come later are read as well. @default all */
  readonly tailLines?: number | undefined;
  /** Only entries from this time on. @default all */
  readonly since?: Nanoseconds | undefined;
  /** Puts the time and a space before the content of each line, as `kubectl logs --timestamps` does. @default false */
  readonly timestamps?: boolean | undefined;
}

/**
 * Reads a container's log, in the CRI's format, in the order in which it was written: first the files it was rotated into
 * (`<path>.2`, `<path>.1`), then the present one. A file that is renamed while it is read is read to its end. Lines that
 * are no entries are passed over.
 *
 * A long line comes in several entries, all but the last `isPartial`. An abort ends the loop without an error.
 *
 * @throws {LongshoreError} `NOT_FOUND` when there is no log; with `follow`, when there is not even its directory
 */
export async function* readContainerLog(
  path: string,
  options: ReadLogOptions = {},
): AsyncIterable<LogEntry> {
  const { follow = false, since = 0n, timestamps = false, tailLines, signal } = options;
  if (tailLines !== undefined && !(Number.isInteger(tailLines) && tailLines >= 0)) {
    throw new RangeError(`tailLines must be a whole number of 0 or more, got ${tailLines}`);
  }
  if (isAborted(signal)) return;
  const changes = follow ? watchLog(path, options) : undefined;
  const begun = new Map<LogEntry["stream"], boolean>();
  try {
    for await (const line of lines(path, { tailLines, changes, signal })) {
      if (isAborted(signal)) return;
      const entry = parseLogLine(line);
      if (entry === undefined || entry.timestamp < since) continue;
      const isContinued = begun.get(entry.stream) === true;
      begun.set(entry.stream, entry.isPartial);
      yield timestamps && !isContinued ? withTime(entry) : entry;
    }
  } finally {
    changes?.close();
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

function watchLog(path: string, options: ReadLogOptions): DirectoryChanges {
  try {
    return watchDirectory(path, options);
  } catch (error) {
    throw hasCode(error, "ENOENT") ? notFound(path, error) : error;
  }
}

interface Reading {
  readonly tailLines: number | undefined;
  readonly changes: DirectoryChanges | undefined;
  readonly signal: AbortSignal | undefined;
}

async function* lines(path: string, reading: Reading): AsyncIterable<Uint8Array> {
  const { tailLines, changes, signal } = reading;
  const done = new Set<string>();
  let files = await openLogFiles(path);
  if (files.length === 0 && changes === undefined) throw notFound(path);
  let offset = 0;
  try {
    if (tailLines !== undefined) [files, offset] = await tail(files, tailLines);
    let reader: LineReader | undefined;
    for (;;) {
      // Both looked at before reading: what comes afterwards rings again, or was there when it was over.
      const bell = changes?.next();
      const isLast = changes?.isOver() ?? true;
      if (files.length === 0) files = await unread(path, done);
      const [file, ...later] = files;
      if (file !== undefined) {
        reader ??= lineReader(file.handle, offset);
        yield* reader.read();
        if (later.length > 0 || (await isReplaced(path, file, isLast))) {
          // Once more: it may have been written to between its end and its successor's beginning.
          yield* reader.read();
          [files, offset, reader] = [later, 0, undefined];
          done.add(file.key);
          await file[Symbol.asyncDispose]();
          continue;
        }
      }
      if (isLast || isAborted(signal)) return;
      await bell;
    }
  } finally {
    await Promise.all(files.map((file) => file[Symbol.asyncDispose]()));
  }
}

/**
 * Only once a successor is written to: until then the writer may not know that the file was renamed. The present one may be
 * the second that came after it, and still empty. When all is over, nobody writes any more.
 */
async function isReplaced(path: string, { key }: LogFile, isOver: boolean): Promise<boolean> {
  const present = await lookAt(path);
  if (present === undefined || present.key === key) return false;
  if (isOver || present.size > 0) return true;
  const before = await lookAt(`${path}.1`);
  return before !== undefined && before.key !== key && before.size > 0;
}

/** Files that were not read yet, oldest first. */
async function unread(path: string, done: ReadonlySet<string>): Promise<readonly LogFile[]> {
  const all = await openLogFiles(path);
  const old = all.filter(({ key }) => done.has(key));
  await Promise.all(old.map((file) => file[Symbol.asyncDispose]()));
  return all.filter(({ key }) => !done.has(key));
}

/** The files that hold the last lines, and where in the first of them they begin. */
async function tail(
  files: readonly LogFile[],
  wanted: number,
): Promise<[readonly LogFile[], number]> {
  let missing = wanted;
  for (let index = files.length - 1; index >= 0; index -= 1) {
    const file = files[index];
    if (file === undefined) break;
    const found = await findTail(file.handle, missing);
    missing = found.missing;
    if (missing > 0) continue;
    await Promise.all(files.slice(0, index).map((older) => older[Symbol.asyncDispose]()));
    return [files.slice(index), found.offset];
  }
  return [files, 0];
}

const space = Buffer.from(" ");

function withTime(entry: LogEntry): LogEntry {
  const time = Buffer.from(formatLogTime(entry.timestamp));
  return { ...entry, content: Buffer.concat([time, space, entry.content]) };
}

function notFound(path: string, cause?: unknown): LongshoreError {
  return new LongshoreError("NOT_FOUND", `There is no log at ${path}.`, {
    details: { path },
    cause,
  });
}
