import { LongshoreError } from "../errors/longshore-error.ts";
import type { ContainerTools } from "./container-tools.ts";
import type { FileChange, FileWatch, WatchFilesOptions } from "./file-watch.ts";
import { openFileWatch } from "./open-file-watch.ts";
import type { RunningCommand } from "./run-command.ts";
import { inotifyWatch } from "./watch-inotify.ts";
import type { WatchMethod } from "./watch-method.ts";
import { pollingWatch } from "./watch-polling.ts";

/**
 * Watches by inotifywait where the image has one that can end names with NUL (3.21 and later). Elsewhere one process in
 * the container lists the tree again and again: without a program that asks the kernel there is no event to wait for.
 *
 * @throws {LongshoreError} `NOT_FOUND`; `RUNTIME_NOT_SUPPORTED` for an image without tools
 */
export async function watchFiles(
  tools: ContainerTools,
  path: string,
  { recursive = false, intervalMs = 500, signal }: WatchFilesOptions = {},
): Promise<FileWatch> {
  if (!(intervalMs >= 10 && intervalMs <= 3_600_000)) {
    throw new RangeError(`intervalMs must be from 10 to 3600000, got ${intervalMs}`);
  }
  // Says what is wrong with the path, before another tool says it in its own way.
  await tools.onPath(path, ["stat", "-L", path], { signal });
  const method = (await hasInotify(tools, signal))
    ? inotifyWatch(path, recursive)
    : pollingWatch({ path, recursive, intervalMs });

  const left = new AbortController();
  const end = signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]);
  const tool = tools.start(method.command, { signal: end });
  const changes = quietly(method.changes(tool), tool, end);
  const close = async (): Promise<void> => {
    left.abort();
    await tool.finished.catch(() => undefined);
  };
  return openFileWatch({ changes, close, signal });
}

async function hasInotify(tools: ContainerTools, signal?: AbortSignal): Promise<boolean> {
  const help = tools.start(["inotifywait", "--help"], { signal });
  help.stderr.collect();
  try {
    let text = "";
    for await (const chunk of help.stdout) text += Buffer.from(chunk).toString("latin1");
    return text.includes("--no-newline");
  } catch {
    signal?.throwIfAborted();
    return false; // the image has none, which is what was asked
  }
}

/** Ends without an error when the watch was given up; whatever else ends it is one. */
async function* quietly(
  changes: ReturnType<WatchMethod["changes"]>,
  tool: RunningCommand,
  end: AbortSignal,
): AsyncGenerator<FileChange | "ready", void> {
  try {
    yield* changes;
  } catch (error) {
    if (!end.aborted) throw error;
    return;
  }
  if (end.aborted) return;
  const { exit, stderr } = await tool.finished;
  throw new LongshoreError(
    "IO_ERROR",
    `The watch has ended by itself, with exit code ${exit.exitCode}: ${stderr.tail().trim().slice(-500)}`,
  );
}
