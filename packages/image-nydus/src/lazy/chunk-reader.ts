import type { Abortable } from "@longshore/core";
import type { BlobMeta } from "../rafs/blob-meta.ts";
import type { ImageBlob } from "../rafs/readable-filesystem.ts";
import type { ChunkCache } from "./chunk-cache.ts";
import type { ChunkFlights } from "./chunk-flights.ts";
import { chunkSpan } from "./chunk-span.ts";
import { abortable } from "./fetch-range.ts";
import type { ListedDigests } from "./listed-digests.ts";
import { endOf } from "./plan-batch.ts";
import { readahead, type ChunkSpan, type ReadaheadOptions } from "./readahead.ts";

export interface ChunkReaderOptions {
  readonly blob: ImageBlob;
  readonly meta: BlobMeta;
  readonly cache: ChunkCache;
  readonly digests: ListedDigests;
  readonly flights: ChunkFlights;
  readonly readahead?: ReadaheadOptions | undefined;
  readonly onAccess?: ((index: number) => void) | undefined;
}

/** A read that has asked for what it needs. */
export interface BegunRead {
  /** Chunks that were there */
  readonly hits: number;
  /** Chunks it has to wait for */
  readonly misses: number;
  /** Fills the target. An aborted one does not touch it any more. */
  finish(target: Uint8Array, options: Abortable): Promise<void>;
}

/** Puts reads together from chunks that are on disk and chunks that are on their way. */
export interface ChunkReader {
  /** @throws {LongshoreError} `IO_ERROR` for a range outside of the blob; `IMAGE_CHECKSUM_MISMATCH` */
  begin(offset: number, length: number): BegunRead;
}

export function chunkReader(options: ChunkReaderOptions): ChunkReader {
  const { blob, meta, cache, digests, flights, onAccess } = options;
  const advisor = readahead(options.readahead);

  /** Begins to fetch what stands behind a read and may be read next. */
  function fetchAhead(span: ChunkSpan, misses: number): void {
    const begin = meta.chunk(span.first).storedOffset;
    const end = endOf(meta.chunk(span.last));
    const { fillBytes, aheadBytes } = advisor.next({ ...span, begin, end });
    const missing: number[] = [];
    for (let index = span.last + 1; index < meta.chunkCount; index += 1) {
      const chunk = meta.chunk(index);
      const fills = misses > 0 && endOf(chunk) - begin <= fillBytes;
      const isAhead = chunk.storedOffset - end < aheadBytes;
      if (chunk.storedOffset < end || !(fills || isAhead)) break;
      // What is ahead already is enough until half of it is used up: then the next request is worth it.
      const isEnough = missing.length === 0 && chunk.storedOffset - end > aheadBytes / 2;
      if (!fills && isEnough) break;
      if (!flights.has(index) && !cache.has(index)) missing.push(index);
    }
    for (const index of missing) {
      if (digests.find(meta.chunk(index)) !== undefined) flights.want(index, "readahead");
    }
  }

  return {
    begin(offset, length) {
      const span = chunkSpan(meta, { offset, length }, blob);
      // Padding between chunks.
      if (span === undefined) return { hits: 0, misses: 0, finish: fillWithZeros };
      const { first, last } = span;
      const fetched = new Map<number, Promise<Buffer>>();
      for (let index = first; index <= last; index += 1) {
        onAccess?.(index);
        if (cache.has(index)) continue;
        digests.require(meta.chunk(index));
        fetched.set(index, flights.want(index, "demand").bytes);
      }
      fetchAhead(span, fetched.size);
      const misses = fetched.size;
      const hits = last - first + 1 - misses;
      return {
        hits,
        misses,
        async finish(target, { signal }) {
          if (misses === 0) {
            cache.read(offset, target);
            return;
          }
          const all = Promise.all(
            [...fetched].map(async ([index, bytes]) => [index, await bytes] as const),
          );
          const arrived = new Map(await abortable(() => all, { signal }));
          target.fill(0);
          for (let index = first; index <= last; index += 1) {
            const chunk = meta.chunk(index);
            const from = Math.max(chunk.offset, offset);
            const to = Math.min(chunk.offset + chunk.size, offset + length);
            const part = target.subarray(from - offset, to - offset);
            const bytes = arrived.get(index);
            if (bytes === undefined) cache.read(from, part);
            else part.set(bytes.subarray(from - chunk.offset, to - chunk.offset));
          }
        },
      };
    },
  };
}

function fillWithZeros(target: Uint8Array): Promise<void> {
  target.fill(0);
  return Promise.resolve();
}
