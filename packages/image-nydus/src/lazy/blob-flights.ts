import type { BlobMeta } from "../rafs/blob-meta.ts";
import { decodeChunk } from "../rafs/decode-chunk.ts";
import type { ChunkCache } from "./chunk-cache.ts";
import { chunkFlights, type ChunkFlights } from "./chunk-flights.ts";
import { fetchChunks, type FetchObserver } from "./fetch-chunks.ts";
import type { FetchQueue, FetchReason } from "./fetch-queue.ts";
import type { LazyBlobSource, LazyTuning } from "./lazy-blob-options.ts";
import type { ListedDigests } from "./listed-digests.ts";
import { gapFor, planBatch } from "./plan-batch.ts";

export interface BlobFlightsOptions
  extends LazyTuning, Pick<LazyBlobSource, "blob" | "fetchRange"> {
  readonly meta: BlobMeta;
  readonly cache: ChunkCache;
  readonly digests: ListedDigests;
  readonly queue: FetchQueue;
  readonly signal: AbortSignal;
  readonly batchBytes: number;
  readonly backgroundBatchBytes: number;
  readonly stallTimeoutMs: number;
  observe(reason: FetchReason): FetchObserver;
  /** Told when a chunk could not be kept */
  onCacheError(error: unknown): void;
}

/** Fetches chunks of a blob, several at once where they are neighbours, checks them and keeps them on disk. */
export function blobFlights(options: BlobFlightsOptions): ChunkFlights {
  const { blob, meta, cache, digests, queue } = options;

  const limitsFor = (reason: FetchReason): { maxBytes: number; maxGap: number } => {
    const maxBytes = reason === "background" ? options.backgroundBatchBytes : options.batchBytes;
    return { maxBytes, maxGap: gapFor(maxBytes) };
  };

  const flights = chunkFlights({
    queue,
    plan: (first, reason) =>
      planBatch(first, {
        ...limitsFor(reason),
        chunkCount: meta.chunkCount,
        chunk: meta.chunk,
        wantsAfter: (index) => flights.isWaiting(index),
        // Nobody waits longer for the sake of somebody who is less urgent.
        wantsBefore: (index) => flights.isWaiting(index, reason),
        takesAlong: (index) =>
          !flights.has(index) && !cache.has(index) && digests.find(meta.chunk(index)) !== undefined,
      }),
    fetch: (batch, reason, landing) =>
      fetchChunks(
        batch,
        {
          async deliver(chunk, bytes) {
            const kept = cache.put(chunk.index, chunk.offset, bytes);
            landing.arrived(chunk.index, bytes, kept);
            await kept.catch(options.onCacheError);
          },
          fail(chunk, error) {
            landing.failed(chunk.index, error);
          },
        },
        {
          ...options,
          maxGap: limitsFor(reason).maxGap,
          observer: options.observe(reason),
          decode: (chunk, stored) => {
            const { compressor, digester } = blob;
            const digest = digests.require(chunk);
            return decodeChunk(stored, { chunk, compressor, digester, digest });
          },
        },
      ),
  });
  return flights;
}
