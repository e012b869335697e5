import type { FileChange } from "./file-watch.ts";
import type { RunningCommand } from "./run-command.ts";

/** A tool that prints what happens, and how that is read: first a sign that it sees changes, then the changes. */
export interface WatchMethod {
  readonly command: readonly string[];
  changes(tool: RunningCommand): AsyncGenerator<FileChange | "ready", void>;
}
