import { LongshoreError } from "@longshore/core/errors";
import type { PackedChunks } from "../tree/packed-chunks.ts";
import type { TreeFile } from "../tree/tree-inode.ts";
import type { BootstrapBlob } from "./bootstrap-image.ts";
import type { ChunkEntry } from "./chunk-table.ts";
import { sortedPairs } from "./sorted-pairs.ts";

/** Gathers the chunks that files refer to, each once. */
export interface ChunkCollector {
  /** Distinct chunks so far */
  readonly size: number;
  /**
   * Checks the chunks of a file and takes them in.
   *
   * @param describe names the file in errors
   * @throws {LongshoreError} `VALIDATION_ERROR` when they are not what the file's size or their blob asks for
   */
  add(file: TreeFile, describe: () => string): void;
  /** Position of a chunk's blob in the image. */
  blobIndex(chunk: number): number;
  /** The chunks in the order of the chunk table: by digest, then blob. */
  entries(): Generator<ChunkEntry>;
}

/**
 * @param chunks of the tree
 * @param blobs of the image, in order
 * @param chunkSize of the image
 */
export function chunkCollector(
  chunks: PackedChunks,
  blobs: readonly BootstrapBlob[],
  chunkSize: number,
): ChunkCollector {
  const positions = new Map(blobs.map((blob, index) => [blob.name ?? blob.id, index]));
  const blobIndexes = chunks.blobIds.map((blobId) => positions.get(blobId));
  /** By chunk: its place among those of the first file that has it, counted from 1; 0 when no file has it */
  const places = new Uint32Array(chunks.length);
  let size = 0;

  const blobIndex = (chunk: number): number => {
    const index = blobIndexes[chunks.blob(chunk)];
    if (index !== undefined) return index;
    throw new LongshoreError(
      "VALIDATION_ERROR",
      `A chunk is in blob "${chunks.at(chunk).blobId}", which the image does not list`,
    );
  };

  return {
    get size() {
      return size;
    },
    blobIndex,
    add(file, describe) {
      const count = Math.ceil(file.size / chunkSize);
      if (file.chunks.length !== count) {
        throw invalid(
          describe(),
          `has ${file.chunks.length} chunks for ${file.size} bytes, not ${count}`,
        );
      }
      for (const [number, chunk] of file.chunks.entries()) {
        const bytes = Math.min(chunkSize, file.size - number * chunkSize);
        if (chunks.size(chunk) !== bytes) {
          const wrong = `has a chunk ${number} of ${chunks.size(chunk)} bytes, not ${bytes}`;
          throw invalid(describe(), wrong);
        }
        if (!lies(chunks, chunk, blobs[blobIndex(chunk)])) {
          throw invalid(describe(), `has a chunk ${number} that lies outside of its blob`);
        }
        if (places[chunk] !== 0) continue;
        places[chunk] = number + 1;
        size += 1;
      }
    },
    *entries() {
      const order = sortedPairs(chunks.length, (chunk) => [chunks.digestStart(chunk), chunk]);
      for (let start = 0; start < order.size;) {
        let end = start + 1;
        while (end < order.size && order.first(end) === order.first(start)) end += 1;
        // The sort looked at four bytes of the digests; the few that are equal in them are put in order here.
        const run = Array.from({ length: end - start }, (_, step) => order.second(start + step));
        for (const chunk of run.length === 1 ? run : run.toSorted(byDigest)) {
          if (places[chunk] !== 0) yield entryOf(chunk);
        }
        start = end;
      }
    },
  };

  function byDigest(one: number, other: number): number {
    return (
      chunks.at(one).digest.compare(chunks.at(other).digest) ||
      (blobIndexes[chunks.blob(one)] ?? -1) - (blobIndexes[chunks.blob(other)] ?? -1) ||
      chunks.index(one) - chunks.index(other)
    );
  }

  function entryOf(chunk: number): ChunkEntry {
    const { index: number, offset, size: bytes, digest } = chunks.at(chunk);
    const index = blobIndex(chunk);
    const stored = blobs[index]?.stored?.(number) ?? { offset, size: bytes };
    return {
      digest,
      blobIndex: index,
      index: number,
      compressed: stored.size !== bytes,
      storedOffset: stored.offset,
      storedSize: stored.size,
      offset,
      size: bytes,
      fileOffset: ((places[chunk] ?? 0) - 1) * chunkSize,
    };
  }
}

function lies(chunks: PackedChunks, chunk: number, blob: BootstrapBlob | undefined): boolean {
  return (
    blob !== undefined &&
    chunks.index(chunk) < blob.chunkCount &&
    chunks.block(chunk) * 4096 + chunks.size(chunk) <= blob.uncompressedSize
  );
}

function invalid(name: string, what: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", `The file "${name}" ${what}`);
}
