import type { Abortable } from "@longshore/core";
import type { StoredChunk } from "../rafs/chunk-info.ts";
import type { ImageBlob } from "../rafs/readable-filesystem.ts";
import type { ChunkCacheOptions } from "./chunk-cache.ts";
import type { FetchQueue } from "./fetch-queue.ts";
import type { FetchRange } from "./fetch-range.ts";
import type { LazyEventListener } from "./lazy-event.ts";
import type { LazyMetrics } from "./lazy-metrics.ts";
import type { ReadaheadOptions } from "./readahead.ts";
import type { RetryPolicy } from "./retry-policy.ts";

/** How blobs are fetched. */
export interface LazyTuning extends RetryPolicy, Pick<ChunkCacheOptions, "flushBytes" | "flushMs"> {
  /** Stored bytes of one request that a reader waits for; a chunk may have more. @default 1 MiB */
  readonly batchBytes?: number | undefined;
  /** Stored bytes of one request that nobody waits for. @default 4 MiB */
  readonly backgroundBatchBytes?: number | undefined;
  /** Milliseconds without a byte after which a request has failed. @default 15_000 */
  readonly stallTimeoutMs?: number | undefined;
  readonly readahead?: ReadaheadOptions | undefined;
}

/** A blob of an image and where its bytes come from. */
export interface LazyBlobSource {
  readonly blob: ImageBlob;
  readonly fetchRange: FetchRange;
  /**
   * The digest of a chunk by the image's metadata; empty when it lists no such chunk, and then the chunk cannot be read.
   *
   * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when the metadata says that the chunk lies elsewhere
   */
  digestOf(chunk: StoredChunk): Buffer;
  /** The `.blob.meta` file that came with the image */
  readonly meta?: Buffer | undefined;
}

export interface LazyBlobOptions extends LazyBlobSource, LazyTuning, Abortable {
  /** Where its files are kept */
  readonly directory: string;
  /** @default one of its own */
  readonly queue?: FetchQueue | undefined;
  /** @default metrics of its own */
  readonly metrics?: LazyMetrics | undefined;
  readonly onEvent?: LazyEventListener | undefined;
  /** Told of each chunk that is read. Must not throw. */
  readonly onAccess?: ((index: number) => void) | undefined;
}
