import type { MeterProvider } from "@opentelemetry/api";
import type { Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import type { BlobReader } from "../mount/blob-reader.ts";
import type { AccessRecorder } from "./access-recorder.ts";
import { fetchQueue, type FetchQueueOptions } from "./fetch-queue.ts";
import { openLazyBlob, type LazyBlob } from "./lazy-blob.ts";
import type { LazyBlobSource, LazyTuning } from "./lazy-blob-options.ts";
import type { LazyEventListener } from "./lazy-event.ts";
import { lazyMetrics, type LazyStats } from "./lazy-metrics.ts";
import type { PrefetchList } from "./prefetch-list.ts";
import { slidingWindow, type WindowItem } from "./sliding-window.ts";
import type { VerifiedChunks } from "./verify-chunks.ts";

export interface LazyBlobReaderOptions extends LazyTuning, FetchQueueOptions {
  /** Where fetched bytes are kept. It must exist; one directory serves any number of images and processes. */
  readonly directory: string;
  /** The blobs of the image; none is opened before it is needed */
  readonly blobs: readonly LazyBlobSource[];
  /** Takes note of what is read; it is the caller's to dispose */
  readonly recorder?: AccessRecorder | undefined;
  readonly onEvent?: LazyEventListener | undefined;
  /** @default the global one */
  readonly meterProvider?: MeterProvider | undefined;
}

/** How much of a blob is here. */
export interface LazyBlobStatus {
  readonly chunkCount: number;
  readonly readyCount: number;
  /** Whether nothing is missing, so that the data file is a plain local one */
  readonly isComplete: boolean;
  readonly dataPath: string;
}

/** The blobs of an image, fetched when they are read. Disposing ends all fetches and keeps what has come. */
export interface LazyBlobReader extends BlobReader, AsyncDisposable {
  /**
   * Fetches the rest of a blob in the background. An abort ends it; what has come stays.
   *
   * @throws {LongshoreError} `NOT_FOUND` for a blob that the image does not have; else as `read`
   */
  complete(blobId: string, options?: Abortable): Promise<void>;
  /**
   * Fetches chunks in the order of a list, behind everything that readers wait for. What fails or does not exist is passed
   * over: whoever needs it will try again.
   *
   * @returns number of chunks that could not be fetched
   */
  prefetch(list: PrefetchList, options?: Abortable): Promise<number>;
  /** Checks what is here of a blob; damaged chunks are fetched again when they are needed. */
  verify(blobId: string, options?: Abortable): Promise<VerifiedChunks>;
  status(blobId: string): Promise<LazyBlobStatus>;
  stats(): LazyStats;
}

/** A reader of blobs that are elsewhere. */
export function lazyBlobReader(options: LazyBlobReaderOptions): LazyBlobReader {
  const { recorder, backgroundBatchBytes = 4 * 1_048_576 } = options;
  const metrics = lazyMetrics(options.meterProvider);
  const queue = fetchQueue(options);
  const sources = new Map(options.blobs.map((source) => [source.blob.id, source]));
  const opened = new Map<string, Promise<LazyBlob>>();
  const stop = new AbortController();
  let closing: Promise<void> | undefined;

  function openNew(source: LazyBlobSource): Promise<LazyBlob> {
    const { id } = source.blob;
    return openLazyBlob({
      ...options,
      ...source,
      queue,
      metrics,
      signal: stop.signal,
      onAccess:
        recorder &&
        ((index) => {
          recorder.record(id, index);
        }),
    });
  }

  function blobOf(blobId: string): Promise<LazyBlob> {
    const known = opened.get(blobId);
    if (known !== undefined) return known;
    const source = sources.get(blobId);
    if (source === undefined || closing !== undefined) {
      return Promise.reject(source === undefined ? noSuchBlob(blobId) : closedError());
    }
    const blob = openNew(source);
    opened.set(blobId, blob);
    // The next read tries anew.
    blob.catch(() => opened.delete(blobId));
    return blob;
  }

  async function* items(list: PrefetchList): AsyncGenerator<WindowItem, void, undefined> {
    for (const { blobId, first, count } of list) {
      if (!sources.has(blobId)) continue;
      try {
        const blob = await blobOf(blobId);
        const end = Math.min(first + count, blob.chunkCount);
        yield* blob.prefetch(numbers(first, end));
      } catch (error) {
        if (closing !== undefined) throw error;
        yield { bytes: 0, done: Promise.reject(error) };
      }
    }
  }

  async function close(): Promise<void> {
    stop.abort(closedError());
    const blobs = await Promise.allSettled(opened.values());
    for (const blob of blobs) {
      if (blob.status === "fulfilled") await blob.value[Symbol.asyncDispose]();
    }
  }

  return {
    async read(blobId, offset, target) {
      const blob = await blobOf(blobId).catch((error: unknown) => {
        throw readable(blobId, error);
      });
      await blob.read(offset, target);
    },
    async complete(blobId, { signal } = {}) {
      await (await blobOf(blobId)).complete({ signal });
    },
    async prefetch(list, { signal } = {}) {
      const maxBytes = backgroundBatchBytes * queue.backgroundConcurrency * 2;
      return slidingWindow(items(list), { maxBytes, signal, onError: "skip" });
    },
    async verify(blobId, { signal } = {}) {
      return (await blobOf(blobId)).verify({ signal });
    },
    async status(blobId) {
      const { chunkCount, readyCount, isComplete, dataPath } = await blobOf(blobId);
      return { chunkCount, readyCount, isComplete, dataPath };
    },
    stats: metrics.stats,
    [Symbol.asyncDispose]() {
      closing ??= close();
      return closing;
    },
  };
}

function* numbers(first: number, end: number): Generator<number, void, undefined> {
  for (let number = first; number < end; number += 1) yield number;
}

/** Readers are promised one of two codes. */
function readable(blobId: string, error: unknown): unknown {
  const code = error instanceof LongshoreError ? error.code : undefined;
  if (code === "IO_ERROR" || code === "IMAGE_CHECKSUM_MISMATCH") return error;
  const why = error instanceof Error ? error.message : String(error);
  return new LongshoreError("IO_ERROR", `Blob ${blobId} cannot be opened: ${why}`, {
    cause: error,
    details: { blobId },
  });
}

function noSuchBlob(blobId: string): LongshoreError {
  return new LongshoreError("NOT_FOUND", `The image has no blob ${blobId}.`, {
    details: { blobId },
  });
}

function closedError(): LongshoreError {
  return new LongshoreError("IO_ERROR", "The reader of the image's blobs is closed.");
}
