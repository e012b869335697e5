import { randomUUID } from "node:crypto";
import { fsync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { directorySync, type DirectorySync } from "./directory-sync.ts";
import type { FileCalls } from "./file-calls.ts";

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

/** Files that are open at a time */
const maxBatch = 128;
const syncFile = promisify(fsync);

export function durableFiles(calls: FileCalls): DurableFiles {
  let waiting: Pending[] = [];
  let isBusy = false;
  const syncs = new Map<string, DirectorySync>();

  async function writeAll(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxBatch);
      waiting = waiting.slice(maxBatch);
      await Promise.all(batch.map(write));
    }
    isBusy = false;
  }

  /** Resolves when the file is there; its writer waits for the directory as well. */
  async function write(pending: Pending): Promise<void> {
    const { path, resolve, reject } = pending;
    try {
      await put(pending);
      const directory = dirname(path);
      const sync = syncs.get(directory) ?? directorySync(directory, calls);
      syncs.set(directory, sync);
      sync().then(resolve, reject);
    } catch (error) {
      reject(error);
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
