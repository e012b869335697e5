import type { StoredChunk } from "../rafs/chunk-info.ts";

/** What one request may fetch. */
interface BatchLimits {
  /** Stored bytes from the first to the last; a single chunk may have more */
  readonly maxBytes: number;
  /** Stored bytes between two chunks that are fetched in vain */
  readonly maxGap: number;
}

export interface BatchPlan extends BatchLimits {
  readonly chunkCount: number;
  chunk(index: number): StoredChunk;
  /** Whether to look for this chunk behind the first one */
  wantsAfter(index: number): boolean;
  /** Whether to look for this chunk before the first one, which then has to wait for it */
  wantsBefore(index: number): boolean;
  /** Whether a chunk that lies between two wanted ones should be kept, as its bytes come anyway */
  takesAlong(index: number): boolean;
}

/**
 * Gap that is worth fetching to save a request, for requests of so many bytes: a fraction of them, as nydusd has it.
 */
export function gapFor(batchBytes: number): number {
  return Math.floor(batchBytes / 128);
}

/** Chunks to fetch by one request: the first, and its wanted neighbours in the blob. In order of the blob. */
export function planBatch(first: number, plan: BatchPlan): readonly StoredChunk[] {
  let batch: StoredChunk[] = [plan.chunk(first)];
  batch = extend(batch, plan, { step: 1, wants: plan.wantsAfter });
  return extend(batch, plan, { step: -1, wants: plan.wantsBefore });
}

interface Direction {
  readonly step: 1 | -1;
  wants(index: number): boolean;
}

function extend(batch: StoredChunk[], plan: BatchPlan, { step, wants }: Direction): StoredChunk[] {
  const forward = step === 1;
  const between: StoredChunk[] = [];
  const begin = (forward ? batch.at(-1) : batch[0])?.index ?? 0;
  for (let index = begin + step; index >= 0 && index < plan.chunkCount; index += step) {
    const chunk = plan.chunk(index);
    const [first, last] = [batch[0], batch.at(-1)];
    if (first === undefined || last === undefined) break;
    const gap = forward ? chunk.storedOffset - endOf(last) : first.storedOffset - endOf(chunk);
    const bytes = forward ? endOf(chunk) - first.storedOffset : endOf(last) - chunk.storedOffset;
    // A negative gap: the blob has its chunks in another order.
    if (gap < 0 || gap > plan.maxGap || bytes > plan.maxBytes) break;
    if (wants(index)) {
      if (forward) batch.push(...between.splice(0), chunk);
      else batch.unshift(chunk, ...between.splice(0).toReversed());
    } else if (plan.takesAlong(index)) {
      between.push(chunk);
    }
  }
  return batch;
}

/** Cuts chunks, in order of the blob, into runs without a gap that is too large. */
export function splitRuns(chunks: readonly StoredChunk[], maxGap: number): StoredChunk[][] {
  const runs: StoredChunk[][] = [];
  for (const chunk of chunks) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const gap = last === undefined ? -1 : chunk.storedOffset - endOf(last);
    if (run === undefined || gap < 0 || gap > maxGap) runs.push([chunk]);
    else run.push(chunk);
  }
  return runs;
}

/** Where the stored bytes of a chunk end. */
export function endOf(chunk: StoredChunk): number {
  return chunk.storedOffset + chunk.storedSize;
}
