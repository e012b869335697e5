import { alignUp } from "../erofs/align-up.ts";
import { PackedRows } from "../tree/packed-rows.ts";
import { chunkInfoSize, encodeChunkInfo } from "./chunk-info.ts";

const blockSize = 4_096;
const entriesInPiece = 4_096;
const sizeAt = 0;
const storedSizeAt = 4;

/** The sizes of a blob's chunks. Chunks lie in order, one behind the other, so that no more is needed for their table. */
export class ChunkSizes {
  readonly #rows: PackedRows;
  readonly #isPacked: boolean;

  /** @param isPacked whether chunks are stored compressed and without padding; else they lie in the file as they are */
  constructor(isPacked: boolean) {
    this.#rows = new PackedRows(isPacked ? 8 : 4);
    this.#isPacked = isPacked;
  }

  /** Chunks so far */
  get length(): number {
    return this.#rows.length;
  }

  add(size: number, storedSize: number): void {
    const row = this.#rows.add();
    this.#rows.setUint32(row, sizeAt, size);
    if (this.#isPacked) this.#rows.setUint32(row, storedSizeAt, storedSize);
  }

  /** The chunk table of the blob, in pieces. */
  *table(): Generator<Buffer, void> {
    let offset = 0;
    let storedOffset = 0;
    for (let first = 0; first < this.length; first += entriesInPiece) {
      const count = Math.min(entriesInPiece, this.length - first);
      const piece = Buffer.alloc(count * chunkInfoSize.v1);
      for (let index = first; index < first + count; index += 1) {
        const size = this.#rows.getUint32(index, sizeAt);
        const storedSize = this.#isPacked ? this.#rows.getUint32(index, storedSizeAt) : size;
        const compressed = storedSize < size;
        encodeChunkInfo(piece, (index - first) * chunkInfoSize.v1, {
          index,
          offset,
          size,
          storedOffset,
          storedSize,
          compressed,
        });
        offset = alignUp(offset + size, blockSize);
        storedOffset = this.#isPacked ? storedOffset + storedSize : offset;
      }
      yield piece;
    }
  }
}
