import type { ReadableFilesystem } from "../rafs/readable-filesystem.ts";
import { appendChunk, type ChunkRun, type PrefetchList } from "./prefetch-list.ts";

export interface PrefetchHintsOptions {
  /** Inodes that the image asks to be fetched first; a directory stands for all files below it */
  readonly prefetchNids: readonly number[];
  /** Chunks at most. @default 16_384 */
  readonly maxChunks?: number | undefined;
}

/**
 * The chunks of the files that an image's own prefetch table names, in its order.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when the metadata contradicts itself
 */
export function prefetchHints(
  filesystem: ReadableFilesystem,
  options: PrefetchHintsOptions,
): PrefetchList {
  const { prefetchNids, maxChunks = 16_384 } = options;
  const runs: ChunkRun[] = [];
  const visited = new Set<number>();
  let room = maxChunks;

  function addFile(nid: number, size: number): void {
    const count = Math.ceil(size / filesystem.chunkSize);
    for (let number = 0; number < count && room > 0; number += 1, room -= 1) {
      const { blobId, index } = filesystem.chunk(nid, number);
      appendChunk(runs, blobId, index);
    }
  }

  for (const top of prefetchNids) {
    // Depth first, without recursion: how deep an image's directories are is up to whoever made it.
    const waiting = [top];
    for (let nid = waiting.pop(); nid !== undefined && room > 0; nid = waiting.pop()) {
      if (visited.has(nid)) continue;
      visited.add(nid);
      const { kind, size } = filesystem.stat(nid);
      if (kind === "file") addFile(nid, size);
      if (kind !== "directory") continue;
      const below = [...filesystem.entries(nid)].filter(
        (entry) => entry.kind === "file" || entry.kind === "directory",
      );
      waiting.push(...below.map((entry) => entry.nid).toReversed());
    }
  }
  return runs;
}
