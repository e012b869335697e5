import { randomUUID } from "node:crypto";
import { fsync } from "node:fs";
import { lstat, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { FileCalls } from "./file-calls.ts";
import { hasCode } from "./fs-error.ts";
import { namesIn } from "./inbox-watch.ts";

/** Writes files that outlive a power cut. Many that are written at a time share the cost of their directory. */
export interface DurableFiles {
  /**
   * Readers see the whole file or none. Resolves when the file and its name are on the disk; rejects with the error of
   * the file system, and then there may be a file or none.
   */
  write(path: string, content: string | Uint8Array): Promise<void>;
}

interface Pending {
  readonly path: string;
  readonly content: string | Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const temporaryName = /^\.[0-9a-f-]{36}\.tmp$/;
/** A temporary file that is older has no writer any more, in milliseconds */
const abandonedMs = 3_600_000;

/** Removes what writers left that died. */
export async function removeAbandoned(directory: string): Promise<void> {
  for (const name of await namesIn(directory)) {
    if (!temporaryName.test(name)) continue;
    const path = join(directory, name);
    const stats = await lstat(path).catch((error: unknown) => {
      if (!hasCode(error, "ENOENT")) throw error;
    });
    if (stats !== undefined && stats.mtimeMs < Date.now() - abandonedMs) {
      await rm(path, { force: true });
    }
  }
}

/** Files that are open at a time */
const maxBatch = 128;
const syncFile = promisify(fsync);

export function durableFiles(calls: FileCalls): DurableFiles {
  let waiting: Pending[] = [];
  let isBusy = false;

  async function writeAll(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxBatch);
      waiting = waiting.slice(maxBatch);
      const written = await writeBatch(batch);
      // The next batch need not wait for this one's directory.
      for (const [directory, files] of written) void settle(directory, files);
    }
    isBusy = false;
  }

  /** Writes the files at a time. Returns those that are there, by directory; the others are rejected. */
  async function writeBatch(batch: readonly Pending[]): Promise<ReadonlyMap<string, Pending[]>> {
    const written = new Map<string, Pending[]>();
    await Promise.all(
      batch.map(async (pending) => {
        try {
          await put(pending);
          const directory = dirname(pending.path);
          const others = written.get(directory);
          if (others === undefined) written.set(directory, [pending]);
          else others.push(pending);
        } catch (error) {
          pending.reject(error);
        }
      }),
    );
    return written;
  }

  async function settle(directory: string, files: readonly Pending[]): Promise<void> {
    try {
      await syncDirectory(directory);
      for (const { resolve } of files) resolve();
    } catch (error) {
      for (const { reject } of files) reject(error);
    }
  }

  async function put({ path, content }: Pending): Promise<void> {
    const temporary = join(dirname(path), `.${randomUUID()}.tmp`);
    try {
      const fd = await calls.open(temporary, "wx");
      try {
        await calls.write(fd, content);
        await syncFile(fd);
      } finally {
        await calls.close(fd);
      }
      await calls.rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async function syncDirectory(directory: string): Promise<void> {
    const fd = await calls.open(directory, "r");
    try {
      await syncFile(fd);
    } catch (error) {
      // Not every file system can sync a directory by itself; those write names with the files.
      if (!hasCode(error, "EINVAL", "ENOTSUP")) throw error;
    } finally {
      await calls.close(fd);
    }
  }

  return {
    write: (path, content) =>
      new Promise((resolve, reject) => {
        waiting.push({ path, content, resolve, reject });
        if (isBusy) return;
        isBusy = true;
        // Whatever is written in this turn of the event loop, or while the disk is at work, goes together.
        setImmediate(() => void writeAll());
      }),
  };
}
