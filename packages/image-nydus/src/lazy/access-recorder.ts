import {
  appendChunk,
  writePrefetchList,
  type ChunkRun,
  type PrefetchList,
} from "./prefetch-list.ts";

export interface AccessRecorderOptions {
  /** File that gets the list */
  readonly path: string;
  /** List of earlier runs: what was not read this time is kept behind what was */
  readonly previous?: PrefetchList | undefined;
  /** Chunks that are remembered; the first ones count. @default 16_384 */
  readonly maxChunks?: number | undefined;
}

/** Takes note of the order in which chunks are read first. Disposing writes the list, unless nothing was read. */
export interface AccessRecorder extends AsyncDisposable {
  record(blobId: string, index: number): void;
  /** What was read so far, in order, and then what was read in earlier runs only */
  list(): PrefetchList;
}

export function accessRecorder(options: AccessRecorderOptions): AccessRecorder {
  const { path, previous = [], maxChunks = 16_384 } = options;
  const runs: ChunkRun[] = [];
  const seen = new Map<string, Set<number>>();
  let count = 0;
  let closing: Promise<void> | undefined;

  const list = (): PrefetchList => withPrevious({ runs, previous, maxChunks });

  return {
    record(blobId, index) {
      if (count >= maxChunks || closing !== undefined) return;
      const chunks = seen.get(blobId) ?? new Set<number>();
      seen.set(blobId, chunks);
      if (chunks.has(index)) return;
      chunks.add(index);
      count += 1;
      appendChunk(runs, blobId, index);
    },
    list,
    [Symbol.asyncDispose]() {
      closing ??= count === 0 ? Promise.resolve() : writePrefetchList(path, list());
      return closing;
    },
  };
}

interface ListParts {
  readonly runs: readonly ChunkRun[];
  readonly previous: PrefetchList;
  readonly maxChunks: number;
}

function withPrevious({ runs, previous, maxChunks }: ListParts): PrefetchList {
  const all: ChunkRun[] = [];
  const seen = new Map<string, Set<number>>();
  let count = 0;
  for (const { blobId, first, count: length } of [...runs, ...previous]) {
    const chunks = seen.get(blobId) ?? new Set<number>();
    seen.set(blobId, chunks);
    for (let index = first; index < first + length; index += 1) {
      if (count >= maxChunks) return all;
      if (chunks.has(index)) continue;
      chunks.add(index);
      count += 1;
      appendChunk(all, blobId, index);
    }
  }
  return all;
}
