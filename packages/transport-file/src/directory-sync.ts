import { fsync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { hasCode } from "@longshore/core";
import type { FileCalls } from "./file-calls.ts";

/** Brings the names in a directory to the disk; all that ask at about the same time share one fsync. */
export type DirectorySync = () => Promise<void>;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** From one fsync to the next at the least: each makes the whole file system wait for a moment */
const intervalMs = 10;
const syncFile = promisify(fsync);

export function directorySync(directory: string, calls: FileCalls): DirectorySync {
  let waiting: Waiting[] = [];
  let isBusy = false;
  let startedAtMs = -Infinity;

  async function syncAll(): Promise<void> {
    while (waiting.length > 0) {
      const waitMs = startedAtMs + intervalMs - performance.now();
      if (waitMs > 0) await pause(waitMs);
      startedAtMs = performance.now();
      const served = waiting;
      waiting = [];
      try {
        await syncOnce();
        for (const { resolve } of served) resolve();
      } catch (error) {
        for (const { reject } of served) reject(error);
      }
    }
    isBusy = false;
  }

  async function syncOnce(): Promise<void> {
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

  return () =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      if (isBusy) return;
      isBusy = true;
      void syncAll();
    });
}
