import { watch as watchNative, type FSWatcher } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename } from "node:path";
import { hasCode } from "@longshore/core";
import { watch as watchPolling } from "chokidar";

export interface InboxWatchOptions {
  /** Ask the directory again and again: for network file systems, which tell no events */
  readonly usePolling: boolean;
  readonly pollIntervalMs: number;
  onName(name: string): void;
  onError(error: unknown): void;
}

/**
 * Tells the names of files that appear or change in one directory. Events may be missed or come twice: what is in the
 * directory decides, never an event.
 */
export async function watchDirectory(
  directory: string,
  options: InboxWatchOptions,
): Promise<AsyncDisposable> {
  return options.usePolling
    ? watchByPolling(directory, options)
    : watchByEvents(directory, options);
}

/** Node's own events: one per file and no delay. chokidar reads the whole directory again, at most once a second. */
function watchByEvents(directory: string, { onName, onError }: InboxWatchOptions): AsyncDisposable {
  const watcher: FSWatcher = watchNative(directory, (_event, name) => {
    if (name !== null) onName(name);
  });
  watcher.on("error", onError);
  return {
    [Symbol.asyncDispose]() {
      watcher.close();
      return Promise.resolve();
    },
  };
}

async function watchByPolling(
  directory: string,
  { pollIntervalMs, onName, onError }: InboxWatchOptions,
): Promise<AsyncDisposable> {
  const watcher = watchPolling(directory, {
    usePolling: true,
    interval: pollIntervalMs,
    depth: 0,
    ignoreInitial: true,
    followSymlinks: false,
    atomic: false,
  });
  watcher.on("add", (path) => {
    onName(basename(path));
  });
  watcher.on("change", (path) => {
    onName(basename(path));
  });
  watcher.on("error", onError);
  await new Promise<void>((resolve) => watcher.once("ready", resolve));
  return { [Symbol.asyncDispose]: () => watcher.close() };
}

/** Names in a directory; none when it is gone. */
export async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}
