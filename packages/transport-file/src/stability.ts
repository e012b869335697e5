import type { JobFile } from "./job-file.ts";

export interface StabilityOptions {
  readonly stabilityMs: number;
  /** Whether the times of files come from this machine's clock */
  readonly isClockShared: boolean;
}

/** Tells files that are still written to from those that are complete. */
export interface Stability {
  /** How long the file must stay unchanged from now on, in milliseconds; 0 when it did for long enough. */
  missingMs(name: string, file: JobFile): number;
  /** The file is gone from the inbox. */
  forget(name: string): void;
}

/**
 * A file's modification time is what counts: writing changes it, and a rename does not. The time of the last status change
 * tells nothing, for a program may set permissions first and write then.
 */
export function createStability({ stabilityMs, isClockShared }: StabilityOptions): Stability {
  const seen = new Map<string, { size: number; modifiedAtMs: number; atMs: number }>();
  return {
    missingMs(name, { body, modifiedAtMs }) {
      const nowMs = Date.now();
      const size = body.byteLength;
      let before = seen.get(name);
      if (before?.size !== size || before.modifiedAtMs !== modifiedAtMs) {
        before = { size, modifiedAtMs, atMs: nowMs };
        seen.set(name, before);
      }
      const unchangedMs = Math.max(nowMs - before.atMs, isClockShared ? nowMs - modifiedAtMs : 0);
      return Math.max(0, stabilityMs - unchangedMs);
    },
    forget(name) {
      seen.delete(name);
    },
  };
}
