import { isLongshoreError, LongshoreError } from "@longshore/core/errors";
import type { StoredChunk } from "../rafs/chunk-info.ts";
import { rangeBytes, type FetchRange, type RangeBytesOptions } from "./fetch-range.ts";
import { endOf, splitRuns } from "./plan-batch.ts";
import { backOff, type RetryPolicy } from "./retry-policy.ts";

/** Takes what becomes of each chunk: one of the calls for each, and nothing else in between. Calls must not fail. */
export interface ChunkReceiver {
  /** The chunk's bytes as they should be. */
  deliver(chunk: StoredChunk, bytes: Buffer): Promise<void>;
  fail(chunk: StoredChunk, error: unknown): void;
}

/** What happens while chunks are fetched. */
export interface FetchObserver {
  /** A request begins. */
  requested(bytes: number): void;
  /** Bytes arrived. */
  received(bytes: number): void;
  /** A request failed and is made again. */
  retried(error: unknown): void;
  /** The bytes of a chunk came and were wrong. */
  mismatched(chunk: StoredChunk, error: unknown): void;
}

export interface FetchChunksOptions extends RetryPolicy {
  readonly fetchRange: FetchRange;
  readonly stallTimeoutMs: number;
  readonly signal: AbortSignal;
  /** Stored bytes between chunks that may be fetched in vain */
  readonly maxGap: number;
  readonly observer: FetchObserver;
  /** The checked bytes of a chunk. @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when they are wrong */
  decode(chunk: StoredChunk, stored: Buffer): Promise<Buffer>;
}

/**
 * Fetches neighbouring chunks and hands each over as soon as it is there and right. What broke off is continued behind the
 * last chunk that came; a chunk with wrong bytes is asked for once more. Never rejects: the receiver is told.
 */
export async function fetchChunks(
  chunks: readonly StoredChunk[],
  receiver: ChunkReceiver,
  options: FetchChunksOptions,
): Promise<void> {
  const { maxGap, observer, decode } = options;
  const pending = new Map(chunks.map((chunk) => [chunk.index, chunk]));
  const suspects = new Set<number>();
  let failures = 0;

  async function take(chunk: StoredChunk, stored: Buffer): Promise<void> {
    let bytes: Buffer;
    try {
      bytes = await decode(chunk, stored);
    } catch (error) {
      if (!isLongshoreError(error, "IMAGE_CHECKSUM_MISMATCH")) throw error;
      observer.mismatched(chunk, error);
      if (suspects.has(chunk.index)) {
        pending.delete(chunk.index);
        receiver.fail(chunk, error);
      }
      suspects.add(chunk.index);
      return;
    }
    failures = 0;
    pending.delete(chunk.index);
    await receiver.deliver(chunk, bytes);
  }

  while (pending.size > 0) {
    const [run = []] = splitRuns([...pending.values()], maxGap);
    const wrongAnswers = run.some(({ index }) => suspects.has(index)) ? 1 : 0;
    try {
      for await (const { chunk, stored } of storedChunks(run, { ...options, wrongAnswers })) {
        await take(chunk, stored);
      }
    } catch (error) {
      failures += 1;
      try {
        await backOff(error, failures, options);
        observer.retried(error);
      } catch (lastError) {
        for (const chunk of pending.values()) receiver.fail(chunk, unavailable(chunk, lastError));
        return;
      }
    }
  }
}

interface ArrivedChunk {
  readonly chunk: StoredChunk;
  readonly stored: Buffer;
}

/** Cuts one answer into the chunks of a run. */
async function* storedChunks(
  run: readonly StoredChunk[],
  options: Omit<RangeBytesOptions, "wrongAnswers"> & {
    readonly wrongAnswers: number;
    readonly observer: FetchObserver;
  },
): AsyncGenerator<ArrivedChunk, void, undefined> {
  const { observer } = options;
  const [first] = run;
  const last = run.at(-1);
  if (first === undefined || last === undefined) return;
  const range = { offset: first.storedOffset, length: endOf(last) - first.storedOffset };
  observer.requested(range.length);
  let position = range.offset;
  let next = 0;
  let parts: Buffer[] = [];
  let size = 0;
  for await (const piece of rangeBytes(range, options)) {
    observer.received(piece.length);
    const pieceEnd = position + piece.length;
    for (let chunk = run[next]; chunk !== undefined; chunk = run[next]) {
      const from = Math.max(chunk.storedOffset, position);
      const to = Math.min(endOf(chunk), pieceEnd);
      if (to > from) {
        parts.push(piece.subarray(from - position, to - position));
        size += to - from;
      }
      if (size < chunk.storedSize) break;
      const [only] = parts;
      yield {
        chunk,
        stored: parts.length === 1 && only !== undefined ? only : Buffer.concat(parts),
      };
      parts = [];
      size = 0;
      next += 1;
    }
    position = pieceEnd;
  }
}

function unavailable(chunk: StoredChunk, cause: unknown): unknown {
  if (isLongshoreError(cause) && (cause.code === "IO_ERROR" || cause.code === "SHUTDOWN")) {
    return cause;
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new LongshoreError("IO_ERROR", `Chunk ${chunk.index} cannot be fetched: ${why}`, {
    cause,
    details: { chunk: chunk.index, offset: chunk.storedOffset, size: chunk.storedSize },
  });
}
