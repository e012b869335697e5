import type { ChunkRef } from "../tree/inode.ts";

/** Chunks by their digests, side by side in few large buffers: an image may have a million of them. */
export interface PackedChunks {
  /** The chunk that has this digest. */
  find(digest: Buffer): ChunkRef | undefined;
  /** Keeps a chunk whose digest is new. @returns it in the form in which it is kept */
  add(chunk: ChunkRef): ChunkRef;
}

const digestSize = 32;
// Behind the digest: number of the blob's name, index, size, offset.
const blobAt = digestSize;
const indexAt = blobAt + 2;
const sizeAt = indexAt + 4;
const offsetAt = sizeAt + 4;
const rowSize = offsetAt + 6;
const pageRows = 2_048;

export function packedChunks(): PackedChunks {
  const pages: Buffer[] = [];
  const blobNames: string[] = [];
  const chunks: ChunkRef[] = [];
  /** Open addressing: numbers of chunks, counted from 1, where their digests point to */
  let slots = new Uint32Array(1_024);

  function digestOf(number: number): Buffer | undefined {
    const start = (number % pageRows) * rowSize;
    return pages[Math.floor(number / pageRows)]?.subarray(start, start + digestSize);
  }

  /** Where a digest stands, or is to stand. */
  function slotOf(digest: Buffer): number {
    const mask = slots.length - 1;
    let slot = digest.readUInt32LE(0) & mask;
    for (; slots[slot] !== 0; slot = (slot + 1) & mask) {
      if (digestOf((slots[slot] ?? 0) - 1)?.equals(digest) === true) break;
    }
    return slot;
  }

  function grow(): void {
    slots = new Uint32Array(slots.length * 2);
    for (const number of chunks.keys()) {
      const digest = digestOf(number);
      if (digest !== undefined) slots[slotOf(digest)] = number + 1;
    }
  }

  return {
    find: (digest) => chunks[(slots[slotOf(digest)] ?? 0) - 1],
    add({ digest, blobId, index, size, offset }) {
      const number = chunks.length;
      if (number * 2 >= slots.length) grow();
      const pageNumber = Math.floor(number / pageRows);
      const page = (pages[pageNumber] ??= Buffer.allocUnsafeSlow(pageRows * rowSize));
      if (!blobNames.includes(blobId)) blobNames.push(blobId);
      const row = (number % pageRows) * rowSize;
      digest.copy(page, row);
      page.writeUInt16LE(blobNames.indexOf(blobId), row + blobAt);
      page.writeUInt32LE(index, row + indexAt);
      page.writeUInt32LE(size, row + sizeAt);
      page.writeUIntLE(offset, row + offsetAt, 6);
      const chunk = new PackedChunk(page, row, blobNames);
      slots[slotOf(digest)] = number + 1;
      chunks.push(chunk);
      return chunk;
    },
  };
}

/** A row of a page, read when it is asked for. */
class PackedChunk implements ChunkRef {
  // Few fields, since there are so many of these.
  readonly #page: Buffer;
  readonly #row: number;
  readonly #blobNames: readonly string[];

  constructor(page: Buffer, row: number, blobNames: readonly string[]) {
    this.#page = page;
    this.#row = row;
    this.#blobNames = blobNames;
  }

  get blobId(): string {
    return this.#blobNames[this.#page.readUInt16LE(this.#row + blobAt)] ?? "";
  }

  get index(): number {
    return this.#page.readUInt32LE(this.#row + indexAt);
  }

  get size(): number {
    return this.#page.readUInt32LE(this.#row + sizeAt);
  }

  get offset(): number {
    return this.#page.readUIntLE(this.#row + offsetAt, 6);
  }

  get digest(): Buffer {
    return this.#page.subarray(this.#row, this.#row + digestSize);
  }
}
