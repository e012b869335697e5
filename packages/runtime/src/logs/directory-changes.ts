import { watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Abortable } from "@longshore/core";

/** Rings when something happens to a file or to those named after it. */
export interface DirectoryChanges {
  /** Resolves at the next change after this call, or when there will be none. */
  next(): Promise<void>;
  /** Whether nobody should wait any more */
  isOver(): boolean;
  close(): void;
}

interface WatchOptions extends Abortable {
  /** When it settles it is over */
  readonly until?: Promise<unknown> | undefined;
}

/** @throws {Error} `ENOENT` when the directory is not there */
export function watchDirectory(path: string, { until, signal }: WatchOptions): DirectoryChanges {
  const name = basename(path);
  let bell = Promise.withResolvers<void>();
  let isOver = false;
  const ring = (): void => {
    bell.resolve();
    bell = Promise.withResolvers();
  };
  const finish = (): void => {
    isOver = true;
    ring();
  };
  const watcher = watch(dirname(path), (_event, changed) => {
    if (changed === null || changed.startsWith(name)) ring();
  });
  watcher.on("error", finish);
  until?.then(finish, finish);
  signal?.addEventListener("abort", finish, { once: true });
  if (signal?.aborted === true) finish();
  return {
    next: () => bell.promise,
    isOver: () => isOver,
    close() {
      signal?.removeEventListener("abort", finish);
      watcher.close();
    },
  };
}
