import { bytesOf, PagedBytes } from "./paged-bytes.ts";
import type { ScratchSpace } from "./scratch-space.ts";

const pageRows = 256;
const maxPages = 512;

/**
 * Rows of numbers and bytes, all of one size, side by side in pages: an image may have a million files, and an object for each
 * would take ten times the memory. With a scratch space, 131,072 rows stay in memory. Rows are numbered from 0 and never go
 * away; `at` is an offset in a row.
 */
export class PackedRows {
  readonly #rowSize: number;
  readonly #pages: PagedBytes;
  #length = 0;

  /** @param scratch takes what is seldom looked at */
  constructor(rowSize: number, scratch?: ScratchSpace) {
    this.#rowSize = rowSize;
    this.#pages = new PagedBytes({ pageSize: pageRows * rowSize, scratch, maxPages });
  }

  /** Rows so far */
  get length(): number {
    return this.#length;
  }

  /** @returns the number of a new row, which is zeros */
  add(): number {
    if (this.#length % pageRows === 0) this.#pages.add();
    return this.#length++;
  }

  getUint16(row: number, at: number): number {
    return this.#pages.get(pageOf(row)).getUint16(this.#offset(row) + at, true);
  }

  setUint16(row: number, at: number, value: number): void {
    this.#pages.change(pageOf(row)).setUint16(this.#offset(row) + at, value, true);
  }

  getUint32(row: number, at: number): number {
    return this.#pages.get(pageOf(row)).getUint32(this.#offset(row) + at, true);
  }

  /** The same, with the first byte as the highest */
  getUint32BE(row: number, at: number): number {
    return this.#pages.get(pageOf(row)).getUint32(this.#offset(row) + at);
  }

  setUint32(row: number, at: number, value: number): void {
    this.#pages.change(pageOf(row)).setUint32(this.#offset(row) + at, value, true);
  }

  getFloat64(row: number, at: number): number {
    return this.#pages.get(pageOf(row)).getFloat64(this.#offset(row) + at, true);
  }

  setFloat64(row: number, at: number, value: number): void {
    this.#pages.change(pageOf(row)).setFloat64(this.#offset(row) + at, value, true);
  }

  setBytes(row: number, at: number, bytes: Uint8Array): void {
    bytesOf(this.#pages.change(pageOf(row))).set(bytes, this.#offset(row) + at);
  }

  hasBytes(row: number, at: number, bytes: Uint8Array): boolean {
    const start = this.#offset(row) + at;
    const page = bytesOf(this.#pages.get(pageOf(row)));
    return page.compare(bytes, 0, bytes.length, start, start + bytes.length) === 0;
  }

  /** A copy of a row: good for rows in no order, for which no pages are read. */
  copyOf(row: number): Buffer {
    const copy = Buffer.allocUnsafe(this.#rowSize);
    this.#pages.copy(pageOf(row), this.#offset(row), copy);
    return copy;
  }

  #offset(row: number): number {
    return (row % pageRows) * this.#rowSize;
  }
}

function pageOf(row: number): number {
  return Math.floor(row / pageRows);
}
