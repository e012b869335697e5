import { setImmediate as nextTurn } from "node:timers/promises";
import type { Abortable } from "@longshore/core";
import type { BlobMeta } from "../rafs/blob-meta.ts";
import type { StoredChunk } from "../rafs/chunk-info.ts";
import { digestChunk } from "../rafs/decode-chunk.ts";
import type { ImageBlob } from "../rafs/readable-filesystem.ts";
import type { ChunkCache } from "./chunk-cache.ts";

/** What checking the chunks on disk found. */
export interface VerifiedChunks {
  /** Chunks whose bytes were compared with their digest */
  readonly checked: number;
  /** Chunks that are marked as there, but have other bytes, by number */
  readonly damaged: readonly number[];
}

export interface VerifyChunksOptions extends Abortable {
  readonly meta: BlobMeta;
  readonly blob: Pick<ImageBlob, "digester">;
  readonly cache: Pick<ChunkCache, "has" | "read">;
  digestOf(chunk: StoredChunk): Buffer | undefined;
}

/** Reads every chunk that is there and compares it with its digest; one that has none counts as damaged. */
export async function verifyChunks(options: VerifyChunksOptions): Promise<VerifiedChunks> {
  const { meta, blob, cache, digestOf, signal } = options;
  const damaged: number[] = [];
  let checked = 0;
  for (let index = 0; index < meta.chunkCount; index += 1) {
    signal?.throwIfAborted();
    if (!cache.has(index)) continue;
    const chunk = meta.chunk(index);
    const bytes = Buffer.allocUnsafe(chunk.size);
    cache.read(chunk.offset, bytes);
    const digest = await digestChunk(bytes, blob.digester);
    checked += 1;
    if (digestOf(chunk)?.equals(digest) !== true) damaged.push(index);
    // Readers come first; this takes as long as it takes.
    await nextTurn();
  }
  return { checked, damaged };
}
