import { LongshoreError } from "@longshore/core/errors";
import { HashSlots } from "./hash-slots.ts";
import type { ChunkRef } from "./inode.ts";
import { PackedRows } from "./packed-rows.ts";
import type { ScratchSpace } from "./scratch-space.ts";

const digestSize = 32;
// Behind the digest: block of 4 KiB, index and size of the chunk, number of its blob.
const blockAt = digestSize;
const indexAt = blockAt + 4;
const sizeAt = indexAt + 4;
const blobAt = sizeAt + 4;
const rowSize = blobAt + 2;
const blockSize = 4_096;
/** Chunks of one digest that are found again: a hostile image may have any number of them */
const maxAlike = 8;

/** Chunks in some order. */
interface ChunkSequence {
  readonly length: number;
  at(position: number): ChunkRef;
  /** Of its digest: see {@link PackedChunks.digestStart} */
  digestStart(position: number): number;
}

/** The chunks that the files of a tree consist of, each once, numbered from 0 in the order in which they came. */
export class PackedChunks {
  readonly #rows: PackedRows;
  readonly #blobIds: string[] = [];
  readonly #slots = new HashSlots();

  /** @param scratch takes what is seldom looked at */
  constructor(scratch?: ScratchSpace) {
    this.#rows = new PackedRows(rowSize, scratch);
  }

  get length(): number {
    return this.#rows.length;
  }

  /** Blobs that the chunks are in, by their numbers */
  get blobIds(): readonly string[] {
    return this.#blobIds;
  }

  /** The number of the first chunk that has this digest. */
  find(digest: Buffer): number | undefined {
    return this.#slots.find(this.#hash(digest), (number) => this.#rows.hasBytes(number, 0, digest));
  }

  /**
   * Keeps a chunk, unless it is there with the same place.
   *
   * @returns its number
   * @throws {LongshoreError} `VALIDATION_ERROR` for a place or digest that no chunk has
   */
  add(chunk: ChunkRef): number {
    const { blobId, index, offset, size, digest } = chunk;
    checkChunk(chunk);
    const hash = this.#hash(digest);
    let alike = 0;
    const known = this.#slots.find(hash, (other) => {
      if (!this.#rows.hasBytes(other, 0, digest)) return false;
      alike += 1;
      return this.index(other) === index && this.#blobIds[this.blob(other)] === blobId;
    });
    if (known !== undefined) return known;
    const number = this.#rows.add();
    this.#rows.setBytes(number, 0, digest);
    this.#rows.setUint32(number, blockAt, offset / blockSize);
    this.#rows.setUint32(number, indexAt, index);
    this.#rows.setUint32(number, sizeAt, size);
    this.#rows.setUint16(number, blobAt, this.#blobNumber(blobId));
    if (alike < maxAlike) this.#slots.add(number, hash);
    return number;
  }

  at(number: number): ChunkRef {
    const row = this.#rows.copyOf(number);
    return {
      blobId: this.#blobIds[row.readUInt16LE(blobAt)] ?? "",
      index: row.readUInt32LE(indexAt),
      offset: row.readUInt32LE(blockAt) * blockSize,
      size: row.readUInt32LE(sizeAt),
      digest: row.subarray(0, digestSize),
    };
  }

  /** Gives back the memory that only {@link find} needs: it finds nothing from here on. */
  forgetIndex(): void {
    this.#slots.clear();
  }

  /** The chunks of one blob, in the order in which they came. */
  inBlob(blobId: string): ChunkSequence {
    const blob = this.#blobIds.indexOf(blobId);
    const numbers = new Uint32Array(this.length);
    let length = 0;
    for (let number = 0; number < this.length; number += 1) {
      if (this.blob(number) === blob) numbers[length++] = number;
    }
    const numberAt = (position: number): number => numbers[position] ?? this.length;
    return {
      length,
      at: (position) => this.at(numberAt(position)),
      digestStart: (position) => this.digestStart(numberAt(position)),
    };
  }

  /** What its digest begins with: 32 bits by which digests are ordered */
  digestStart(number: number): number {
    return this.#rows.getUint32BE(number, 0);
  }

  /** First block in the uncompressed space of the blob */
  block(number: number): number {
    return this.#rows.getUint32(number, blockAt);
  }

  /** Number of the chunk in its blob */
  index(number: number): number {
    return this.#rows.getUint32(number, indexAt);
  }

  size(number: number): number {
    return this.#rows.getUint32(number, sizeAt);
  }

  /** Position of its blob in {@link blobIds} */
  blob(number: number): number {
    return this.#rows.getUint16(number, blobAt);
  }

  #hash(digest: Buffer): number {
    let hash = 0;
    for (let at = 0; at < digestSize; at += 4) hash = this.#slots.mix(hash, digest.readInt32LE(at));
    return hash;
  }

  #blobNumber(blobId: string): number {
    const known = this.#blobIds.indexOf(blobId);
    if (known !== -1) return known;
    if (this.#blobIds.length === 65_536) {
      throw new LongshoreError("LIMIT_EXCEEDED", "The files are in more than 65,536 blobs.");
    }
    return this.#blobIds.push(blobId) - 1;
  }
}

function checkChunk({ index, offset, size, digest }: ChunkRef): void {
  const isAligned = offset % blockSize === 0;
  if (isAligned && isUint32(offset / blockSize) && isUint32(index) && isUint32(size)) {
    if (digest.length === digestSize) return;
  }
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `A chunk of a file has a place, size or digest that no chunk can have`,
    { details: { index, offset, size, digestBytes: digest.length } },
  );
}

function isUint32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}
