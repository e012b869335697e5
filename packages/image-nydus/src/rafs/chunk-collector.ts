import { LongshoreError } from "@longshore/core";
import type { ChunkRef, FileInode } from "../tree/inode.ts";
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
  add(file: FileInode, describe: () => string): void;
  /** Position of a chunk's blob in the image. */
  blobIndex(chunk: ChunkRef): number;
  /** The chunks in the order of the chunk table: by digest, then blob. */
  entries(): Generator<ChunkEntry>;
}

/**
 * @param blobs of the image, in order
 * @param chunkSize of the image
 */
export function chunkCollector(blobs: readonly BootstrapBlob[], chunkSize: number): ChunkCollector {
  const positions = new Map(blobs.map((blob, index) => [blob.name ?? blob.id, index]));
  const seen = blobs.map((blob) => new Uint8Array(Math.ceil(blob.chunkCount / 8)));
  // Kept side by side, because a million of small objects takes ten times the memory.
  const chunks: ChunkRef[] = [];
  let numbers = new Uint32Array(1024);

  const blobIndex = (chunk: ChunkRef): number => {
    const index = positions.get(chunk.blobId);
    if (index !== undefined) return index;
    throw new LongshoreError(
      "VALIDATION_ERROR",
      `A chunk is in blob "${chunk.blobId}", which the image does not list`,
    );
  };

  const take = (chunk: ChunkRef, number: number): void => {
    const bits = seen[blobIndex(chunk)];
    const byte = bits?.[chunk.index >>> 3];
    if (bits === undefined || byte === undefined) return;
    const mask = 1 << (chunk.index & 7);
    if (byte & mask) return;
    bits[chunk.index >>> 3] = byte | mask;
    if (chunks.length === numbers.length) {
      const bigger = new Uint32Array(numbers.length * 2);
      bigger.set(numbers);
      numbers = bigger;
    }
    numbers[chunks.length] = number;
    chunks.push(chunk);
  };

  return {
    get size() {
      return chunks.length;
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
        const size = Math.min(chunkSize, file.size - number * chunkSize);
        if (chunk.size !== size) {
          throw invalid(describe(), `has a chunk ${number} of ${chunk.size} bytes, not ${size}`);
        }
        if (!lies(chunk, blobs[blobIndex(chunk)])) {
          throw invalid(describe(), `has a chunk ${number} that lies outside of its blob`);
        }
        take(chunk, number);
      }
    },
    *entries() {
      const order = sortedPairs(chunks.length, (position) => [
        chunks[position]?.digest.readUInt32BE(0) ?? 0,
        position,
      ]);
      for (let start = 0; start < order.size;) {
        let end = start + 1;
        while (end < order.size && order.first(end) === order.first(start)) end += 1;
        // The sort looked at four bytes of the digests; the few that are equal in them are put in order here.
        if (end === start + 1) yield entryAt(order.second(start));
        else {
          const run = Array.from({ length: end - start }, (_, step) => order.second(start + step));
          for (const position of run.toSorted(byDigest)) yield entryAt(position);
        }
        start = end;
      }
    },
  };

  function byDigest(one: number, other: number): number {
    const [first, second] = [chunks[one], chunks[other]];
    if (first === undefined || second === undefined) return 0;
    return (
      first.digest.compare(second.digest) ||
      blobIndex(first) - blobIndex(second) ||
      first.index - second.index
    );
  }

  function entryAt(position: number): ChunkEntry {
    const chunk = chunks[position];
    if (chunk === undefined) throw new RangeError(`no chunk at ${position}`);
    const index = blobIndex(chunk);
    const { offset, size } = blobs[index]?.stored?.(chunk.index) ?? chunk;
    return {
      digest: chunk.digest,
      blobIndex: index,
      index: chunk.index,
      compressed: size !== chunk.size,
      storedOffset: offset,
      storedSize: size,
      offset: chunk.offset,
      size: chunk.size,
      fileOffset: (numbers[position] ?? 0) * chunkSize,
    };
  }
}

function lies(chunk: ChunkRef, blob: BootstrapBlob | undefined): boolean {
  return (
    blob !== undefined &&
    Number.isInteger(chunk.index) &&
    chunk.index >= 0 &&
    chunk.index < blob.chunkCount &&
    chunk.offset % 4096 === 0 &&
    chunk.offset >= 0 &&
    chunk.offset + chunk.size <= blob.uncompressedSize &&
    chunk.digest.length === 32
  );
}

function invalid(name: string, what: string): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", `The file "${name}" ${what}`);
}
