import type { Abortable } from "../abortable.ts";

/** Something happened to a file. */
export interface FileChange {
  /** `"overflow"`: more happened than could be told; look for yourself, and go on */
  readonly type: "created" | "modified" | "removed" | "overflow";
  /** Absolute; with `"overflow"` what is watched */
  readonly path: string;
}

/**
 * Changes from now on, in order, read once. The watch ends with the sandbox, with an error when it cannot go on, and
 * quietly with its disposal or the signal of its start. Nothing is held but what the tool has printed and 1 MiB at most.
 */
export interface FileWatch extends AsyncIterable<FileChange>, AsyncDisposable {}

/** The signal ends the watch too. */
export interface WatchFilesOptions extends Abortable {
  /** Also what is below. @default false (the directory's own entries) */
  readonly recursive?: boolean | undefined;
  /** Time between two looks, where the image has no inotifywait. @default 500 */
  readonly intervalMs?: number | undefined;
}
