import type { JobFile } from "./job-file.ts";

export interface StabilityOptions {
  readonly stabilityMs: number;
  /** Whether the times of files come from this machine's clock */
  readonly isClockShared: boolean;
}

/** Tells files that are still written to from those that are complete. */
export interface Stability {
  /** Whether the file did not change for the stability time. */
  isSettled(name: string, file: JobFile): boolean;
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
    isSettled(name, { body, modifiedAtMs }) {
      const nowMs = Date.now();
      if (stabilityMs === 0) return true;
      if (isClockShared && nowMs - modifiedAtMs >= stabilityMs) return true;
      const before = seen.get(name);
      const size = body.byteLength;
      if (before?.size !== size || before.modifiedAtMs !== modifiedAtMs) {
        seen.set(name, { size, modifiedAtMs, atMs: nowMs });
        return false;
      }
      return nowMs - before.atMs >= stabilityMs;
    },
    forget(name) {
      seen.delete(name);
    },
  };
}
