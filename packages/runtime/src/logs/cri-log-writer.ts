import { constants } from "node:fs";
import { mkdir, open, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import type { ContainerLog } from "@longshore/core";
import { hasCode } from "@longshore/core/errors";
import { turnQueue } from "../engine/turn-queue.ts";
import { logClock } from "./clock.ts";
import { formatLogLine, type LogEntry } from "./log-line.ts";

/** Writes a container's output as a log in the CRI's format. */
export interface CriLogWriter extends AsyncDisposable {
  /** Resolves when everything but an unfinished line is in the file. Order is kept. */
  write(stream: LogEntry["stream"], chunk: Uint8Array): Promise<void>;
  /** Writes what the stream has left as a line, though it has no break. */
  end(stream: LogEntry["stream"]): Promise<void>;
  /** Goes on in a new file at the path, after somebody renamed the old one. When it rejects, no new file is there. */
  reopen(): Promise<void>;
}

/** Bytes of an entry; a longer line is cut into parts, as containerd cuts it */
const maxEntryBytes = 16_384;
const newlineByte = 0x0a;

/**
 * Opens the log, behind what is there already.
 *
 * @throws {Error} of the file system
 */
export async function criLogWriter(log: ContainerLog): Promise<CriLogWriter> {
  const { path, maxBytes = Infinity, maxFiles = 2 } = log;
  const oldFiles = maxFiles - 1;
  await mkdir(dirname(path), { recursive: true });
  const now = logClock();
  const turn = turnQueue();
  const unfinished = new Map<LogEntry["stream"], Buffer>();
  let file = await openLog(path);
  let bytes = (await file.stat()).size;
  let isClosed = false;

  async function put(entries: readonly Omit<LogEntry, "timestamp">[]): Promise<void> {
    let waiting: Buffer[] = [];
    let waitingBytes = 0;
    for (const entry of entries) {
      const line = formatLogLine({ ...entry, timestamp: now() });
      if (bytes + waitingBytes > 0 && bytes + waitingBytes + line.length > maxBytes) {
        await flush(waiting);
        [waiting, waitingBytes] = [[], 0];
        await rotate();
      }
      waiting.push(line);
      waitingBytes += line.length;
    }
    await flush(waiting);
  }

  async function flush(lines: readonly Buffer[]): Promise<void> {
    if (lines.length === 0) return;
    const all = Buffer.concat(lines);
    await file.appendFile(all);
    bytes += all.length;
  }

  /** The present file becomes `.1`, and so on; the oldest goes. */
  async function rotate(): Promise<void> {
    await rm(`${path}.${oldFiles}`, { force: true });
    for (let index = oldFiles - 1; index >= 0; index -= 1) {
      const from = index === 0 ? path : `${path}.${index}`;
      await rename(from, `${path}.${index + 1}`).catch((error: unknown) => {
        if (!hasCode(error, "ENOENT")) throw error;
      });
    }
    if (oldFiles === 0) await rm(path, { force: true });
    await change();
  }

  async function change(): Promise<void> {
    const fresh = await openLog(path);
    const old = file;
    file = fresh;
    bytes = (await fresh.stat()).size;
    await old.close();
  }

  return {
    write: (stream, chunk) =>
      turn.run(async () => {
        const { entries, rest } = cut(stream, [unfinished.get(stream), chunk]);
        unfinished.set(stream, rest);
        await put(entries);
      }),
    end: (stream) =>
      turn.run(async () => {
        const content = unfinished.get(stream);
        unfinished.delete(stream);
        if (content !== undefined && content.length > 0) {
          await put([{ stream, content, isPartial: false }]);
        }
      }),
    reopen: () => turn.run(change),
    async [Symbol.asyncDispose]() {
      if (isClosed) return;
      isClosed = true;
      await turn.run(() => file.close());
    },
  };
}

/** No link is followed: whoever can write into the directory must not choose where the log goes. */
function openLog(path: string): Promise<FileHandle> {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
  return open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o640);
}

/** Whole lines, parts of long ones, and what is left of the last. */
function cut(
  stream: LogEntry["stream"],
  chunks: readonly (Uint8Array | undefined)[],
): { readonly entries: readonly Omit<LogEntry, "timestamp">[]; readonly rest: Buffer } {
  const bytes = Buffer.concat(chunks.filter((chunk) => chunk !== undefined));
  const entries: Omit<LogEntry, "timestamp">[] = [];
  let start = 0;
  while (start < bytes.length) {
    const end = bytes.indexOf(newlineByte, start);
    const isWhole = end !== -1 && end - start <= maxEntryBytes;
    if (!isWhole && bytes.length - start < maxEntryBytes) break;
    const stop = isWhole ? end : start + maxEntryBytes;
    entries.push({ stream, content: bytes.subarray(start, stop), isPartial: !isWhole });
    start = isWhole ? stop + 1 : stop;
  }
  return { entries, rest: Buffer.from(bytes.subarray(start)) };
}
