import type { Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import type { BlobMeta } from "../rafs/blob-meta.ts";
import { blobFlights } from "./blob-flights.ts";
import { cachedBlobMeta } from "./cached-blob-meta.ts";
import { openChunkCache, type ChunkCache } from "./chunk-cache.ts";
import { chunkReader, type BegunRead } from "./chunk-reader.ts";
import type { FetchObserver } from "./fetch-chunks.ts";
import { fetchQueue, type FetchReason } from "./fetch-queue.ts";
import { fetchWhole } from "./fetch-whole.ts";
import type { LazyBlobOptions } from "./lazy-blob-options.ts";
import { safeListener, type LazyEventListener } from "./lazy-event.ts";
import { lazyFiles } from "./lazy-files.ts";
import { lazyMetrics, type LazyMetrics } from "./lazy-metrics.ts";
import { listedDigests } from "./listed-digests.ts";
import { slidingWindow, type WindowItem } from "./sliding-window.ts";
import { verifyChunks, type VerifiedChunks } from "./verify-chunks.ts";

/**
 * One blob of an image whose chunks are fetched when they are needed and kept on disk. Every chunk is checked against its
 * digest before a byte of it is given out. Disposing ends what is under way and makes what was fetched durable.
 */
export interface LazyBlob extends AsyncDisposable {
  readonly id: string;
  /** File of the uncompressed bytes; once the blob is complete, a plain one */
  readonly dataPath: string;
  readonly chunkCount: number;
  readonly readyCount: number;
  /** Whether every chunk is here, which holds for later runs, too */
  readonly isComplete: boolean;
  /**
   * Fills the target with uncompressed bytes. An abort ends the wait, not the fetch.
   *
   * @throws {LongshoreError} `IO_ERROR` when they cannot be had, `IMAGE_CHECKSUM_MISMATCH` when they are not right
   */
  read(offset: number, target: Uint8Array, options?: Abortable): Promise<void>;
  /** Begins to fetch chunks that nobody waits for. Yields those that are missing, each when it is asked for. */
  prefetch(indexes: Iterable<number>): Iterable<WindowItem>;
  /**
   * Fetches all that is missing, in large requests that let readers go first. Chunks that the image does not list cannot
   * be checked and are left out: then everything the image needs is here, and `isComplete` stays false.
   *
   * @throws {LongshoreError} as `read`
   */
  complete(options?: Abortable): Promise<void>;
  /** Checks every chunk that is here. Damaged ones are forgotten, so that they are fetched again. */
  verify(options?: Abortable): Promise<VerifiedChunks>;
  /** Makes what was fetched durable now. */
  flush(): Promise<void>;
}

/**
 * Opens a blob of an image for reading while its bytes are elsewhere.
 *
 * @throws {LongshoreError} `IO_ERROR` when its chunk table cannot be had or its files cannot be opened;
 *   `IMAGE_CHECKSUM_MISMATCH` when the table is not the image's
 */
export async function openLazyBlob(options: LazyBlobOptions): Promise<LazyBlob> {
  const { blob, metrics = lazyMetrics(), stallTimeoutMs = 15_000, signal } = options;
  const files = lazyFiles(options.directory, blob.id);
  const emit = safeListener(options.onEvent);
  const observe = observers(blob.id, metrics, emit);
  const meta = await cachedBlobMeta({
    path: files.meta,
    blob,
    bundled: options.meta,
    fetch: (range) =>
      fetchWhole(range, {
        ...options,
        stallTimeoutMs,
        signal: signal ?? new AbortController().signal,
        observer: observe("demand"),
      }),
  });
  const onCacheError = (error: unknown): void => {
    emit({ type: "cache-failed", blobId: blob.id, error });
  };
  const cache = await openChunkCache(files, {
    ...options,
    size: blob.uncompressedSize,
    chunkCount: meta.chunkCount,
    onError: onCacheError,
  });
  const { data: dataPath } = files;
  const parts = { options, stallTimeoutMs, dataPath, metrics, emit, observe, meta, cache };
  return liveBlob({ ...parts, onCacheError });
}

interface BlobParts {
  readonly options: LazyBlobOptions;
  readonly stallTimeoutMs: number;
  readonly dataPath: string;
  readonly metrics: LazyMetrics;
  readonly meta: BlobMeta;
  readonly cache: ChunkCache;
  readonly emit: LazyEventListener;
  observe(reason: FetchReason): FetchObserver;
  onCacheError(error: unknown): void;
}

function liveBlob(parts: BlobParts): LazyBlob {
  const { options, meta, cache, emit, metrics } = parts;
  const { blob, queue = fetchQueue() } = options;
  const { batchBytes = 1_048_576, backgroundBatchBytes = 4 * 1_048_576 } = options;
  const stop = new AbortController();
  const digests = listedDigests(options);
  const flights = blobFlights({
    ...options,
    ...parts,
    digests,
    queue,
    batchBytes,
    backgroundBatchBytes,
    signal: stop.signal,
  });
  const reader = chunkReader({ ...options, meta, cache, digests, flights });
  let closing: Promise<void> | undefined;

  function requireOpen(): void {
    if (closing !== undefined) throw closedError(blob.id);
  }

  function* prefetch(indexes: Iterable<number>): Generator<WindowItem, void, undefined> {
    for (const index of indexes) {
      requireOpen();
      const exists = Number.isInteger(index) && index >= 0 && index < meta.chunkCount;
      if (!exists || cache.has(index) || digests.find(meta.chunk(index)) === undefined) continue;
      const { kept } = flights.want(index, "background");
      yield { bytes: meta.chunk(index).storedSize, done: kept };
    }
  }

  function* missing(): Generator<number, void, undefined> {
    for (let index = 0; index < meta.chunkCount; index += 1) if (!cache.has(index)) yield index;
  }

  async function close(): Promise<void> {
    const reason = closedError(blob.id);
    stop.abort(reason);
    flights.end(reason);
    await flights.settled();
    await cache[Symbol.asyncDispose]();
  }

  return {
    id: blob.id,
    dataPath: parts.dataPath,
    chunkCount: meta.chunkCount,
    get readyCount() {
      return cache.readyCount;
    },
    get isComplete() {
      return cache.isAllReady;
    },
    async read(offset, target, { signal } = {}) {
      const startMs = performance.now();
      let begun: BegunRead | undefined;
      let isFailed = false;
      try {
        requireOpen();
        signal?.throwIfAborted();
        begun = reader.begin(offset, target.length);
        await begun.finish(target, { signal });
      } catch (error) {
        isFailed = signal?.aborted !== true;
        const { length } = target;
        if (isFailed) emit({ type: "read-failed", blobId: blob.id, offset, length, error });
        throw error;
      } finally {
        const { hits = 0, misses = 0 } = begun ?? {};
        metrics.read({ hits, misses, durationMs: performance.now() - startMs, isFailed });
      }
    },
    prefetch,
    async complete({ signal } = {}) {
      if (cache.isAllReady) return;
      requireOpen();
      const maxBytes = backgroundBatchBytes * queue.backgroundConcurrency * 2;
      await slidingWindow(prefetch(missing()), { maxBytes, signal });
      await cache.flush();
      const lacking = [...missing()];
      if (lacking.some((index) => digests.find(meta.chunk(index)) !== undefined)) {
        throw new LongshoreError("IO_ERROR", `Blob ${blob.id} cannot be kept on disk.`, {
          details: { blobId: blob.id, chunks: lacking.length },
        });
      }
      if (lacking.length > 0) return;
      await cache.markAllReady();
      emit({ type: "blob-completed", blobId: blob.id });
    },
    async verify({ signal } = {}) {
      requireOpen();
      await cache.flush();
      const result = await verifyChunks({ meta, blob, cache, digestOf: digests.find, signal });
      if (result.damaged.length === 0) return result;
      await cache.forget(result.damaged);
      emit({ type: "cache-damaged", blobId: blob.id, chunks: result.damaged });
      return result;
    },
    flush: cache.flush,
    [Symbol.asyncDispose]() {
      closing ??= close();
      return closing;
    },
  };
}

function observers(
  blobId: string,
  metrics: LazyMetrics,
  emit: LazyEventListener,
): (reason: FetchReason) => FetchObserver {
  return (reason) => ({
    requested: () => {
      metrics.requested(reason);
    },
    received: metrics.received,
    retried(error) {
      metrics.retried();
      emit({ type: "fetch-retried", blobId, error });
    },
    mismatched(chunk, error) {
      metrics.mismatched();
      emit({ type: "chunk-mismatched", blobId, chunk: chunk.index, error });
    },
  });
}

function closedError(blobId: string): LongshoreError {
  return new LongshoreError("IO_ERROR", `Blob ${blobId} is closed.`, { details: { blobId } });
}
