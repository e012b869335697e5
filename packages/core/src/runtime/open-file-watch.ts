import type { FileChange, FileWatch } from "./file-watch.ts";

/** What a watch is made of. */
export interface FileWatchSource {
  /** First `"ready"`, when it sees changes, then the changes. It ends without an error when the watch was given up */
  readonly changes: AsyncGenerator<FileChange | "ready", void>;
  /** Gives the watch up; resolves when nothing of it is left. Idempotent */
  close(): Promise<void>;
  /** Why it was given up, when it was before it saw changes */
  readonly signal?: AbortSignal | undefined;
}

/** Resolves when the watch sees changes; one that does not come to that is closed. */
export async function openFileWatch({
  changes,
  close,
  signal,
}: FileWatchSource): Promise<FileWatch> {
  const sign = await changes.next().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  if (sign.done === true) {
    await close();
    throw signal?.reason;
  }
  return {
    [Symbol.asyncIterator]: () => onlyChanges(changes, close),
    [Symbol.asyncDispose]: close,
  };
}

async function* onlyChanges(
  changes: AsyncIterable<FileChange | "ready">,
  close: () => Promise<void>,
): AsyncGenerator<FileChange, undefined> {
  try {
    for await (const change of changes) if (change !== "ready") yield change;
  } finally {
    await close();
  }
}
