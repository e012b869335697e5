// A power of two
const pageRows = 4_096;

/**
 * Rows of numbers and bytes, all of one size, side by side in large pages: an image may have a million files, and an object
 * for each would take ten times the memory. Rows are numbered from 0 and never go away; `at` is an offset in a row.
 */
export class PackedRows {
  readonly #rowSize: number;
  readonly #pages: DataView[] = [];
  #length = 0;

  constructor(rowSize: number) {
    this.#rowSize = rowSize;
  }

  /** Rows so far */
  get length(): number {
    return this.#length;
  }

  /** @returns the number of a new row, which is zeros */
  add(): number {
    const row = this.#length;
    if (row % pageRows === 0) {
      this.#pages.push(new DataView(new ArrayBuffer(pageRows * this.#rowSize)));
    }
    this.#length += 1;
    return row;
  }

  getUint8(row: number, at: number): number {
    return this.#page(row).getUint8(this.#offset(row) + at);
  }

  setUint8(row: number, at: number, value: number): void {
    this.#page(row).setUint8(this.#offset(row) + at, value);
  }

  getUint16(row: number, at: number): number {
    return this.#page(row).getUint16(this.#offset(row) + at, true);
  }

  setUint16(row: number, at: number, value: number): void {
    this.#page(row).setUint16(this.#offset(row) + at, value, true);
  }

  getUint32(row: number, at: number): number {
    return this.#page(row).getUint32(this.#offset(row) + at, true);
  }

  setUint32(row: number, at: number, value: number): void {
    this.#page(row).setUint32(this.#offset(row) + at, value, true);
  }

  getFloat64(row: number, at: number): number {
    return this.#page(row).getFloat64(this.#offset(row) + at, true);
  }

  setFloat64(row: number, at: number, value: number): void {
    this.#page(row).setFloat64(this.#offset(row) + at, value, true);
  }

  /** Bytes of a row, not copied */
  bytes(row: number, at: number, size: number): Buffer {
    return Buffer.from(this.#page(row).buffer, this.#offset(row) + at, size);
  }

  #page(row: number): DataView {
    const page = this.#pages[(row / pageRows) | 0];
    if (page === undefined) throw new RangeError(`there is no row ${row}`);
    return page;
  }

  #offset(row: number): number {
    return (row % pageRows) * this.#rowSize;
  }
}
