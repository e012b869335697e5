import type { ScratchSpace } from "./scratch-space.ts";

const pageRows = 256;
/** Pages that stay in memory when there is a scratch space: enough for 131,072 rows */
const maxPages = 512;
const absent = -1;

/**
 * Rows of numbers and bytes, all of one size, side by side in pages: an image may have a million files, and an object for each
 * would take ten times the memory. With a scratch space, the pages that were not looked at for the longest time go there.
 * Rows are numbered from 0 and never go away; `at` is an offset in a row.
 */
export class PackedRows {
  readonly #rowSize: number;
  readonly #scratch: ScratchSpace | undefined;
  #length = 0;
  /** By page: the slot it is in, {@link absent} when it is in the scratch space */
  readonly #slotOf: number[] = [];
  /** By page: where in the scratch space it was last written */
  readonly #positions: (number | undefined)[] = [];
  // By slot: a page in memory, which one it is, whether it was used of late and differs from the scratch space.
  readonly #pages: DataView[] = [];
  readonly #pageIn: number[] = [];
  readonly #isUsed: boolean[] = [];
  readonly #isChanged: boolean[] = [];
  /** The slot to look at next for one that can be emptied */
  #hand = 0;

  constructor(rowSize: number, scratch?: ScratchSpace) {
    this.#rowSize = rowSize;
    this.#scratch = scratch;
  }

  /** Rows so far */
  get length(): number {
    return this.#length;
  }

  /** @returns the number of a new row, which is zeros */
  add(): number {
    const row = this.#length;
    if (row % pageRows === 0) {
      const slot = this.#emptySlot();
      this.#put(row / pageRows, slot);
      bytesOf(this.#pages[slot]).fill(0);
      this.#isChanged[slot] = true;
    }
    this.#length += 1;
    return row;
  }

  getUint16(row: number, at: number): number {
    return this.#page(row, false).getUint16(this.#offset(row) + at, true);
  }

  setUint16(row: number, at: number, value: number): void {
    this.#page(row, true).setUint16(this.#offset(row) + at, value, true);
  }

  getUint32(row: number, at: number): number {
    return this.#page(row, false).getUint32(this.#offset(row) + at, true);
  }

  getUint32BE(row: number, at: number): number {
    return this.#page(row, false).getUint32(this.#offset(row) + at);
  }

  setUint32(row: number, at: number, value: number): void {
    this.#page(row, true).setUint32(this.#offset(row) + at, value, true);
  }

  getFloat64(row: number, at: number): number {
    return this.#page(row, false).getFloat64(this.#offset(row) + at, true);
  }

  setFloat64(row: number, at: number, value: number): void {
    this.#page(row, true).setFloat64(this.#offset(row) + at, value, true);
  }

  setBytes(row: number, at: number, bytes: Uint8Array): void {
    bytesOf(this.#page(row, true)).set(bytes, this.#offset(row) + at);
  }

  hasBytes(row: number, at: number, bytes: Uint8Array): boolean {
    const start = this.#offset(row) + at;
    const page = bytesOf(this.#page(row, false));
    return page.compare(bytes, 0, bytes.length, start, start + bytes.length) === 0;
  }

  /** A copy of a row. Reads no more than the row from the scratch space: good for rows in no order. */
  copyOf(row: number): Buffer {
    const page = Math.floor(row / pageRows);
    const position = this.#positions[page];
    const copy = Buffer.allocUnsafe(this.#rowSize);
    if (this.#slotOf[page] === absent && position !== undefined) {
      this.#scratch?.read(copy, position + this.#offset(row));
    } else bytesOf(this.#page(row, false)).copy(copy, 0, this.#offset(row));
    return copy;
  }

  #page(row: number, isChanged: boolean): DataView {
    const page = (row / pageRows) | 0;
    let slot = this.#slotOf[page];
    if (slot === undefined) throw new RangeError(`there is no row ${row}`);
    if (slot === absent) slot = this.#load(page);
    this.#isUsed[slot] = true;
    if (isChanged) this.#isChanged[slot] = true;
    const view = this.#pages[slot];
    if (view === undefined) throw new RangeError(`there is no row ${row}`);
    return view;
  }

  #offset(row: number): number {
    return (row % pageRows) * this.#rowSize;
  }

  #load(page: number): number {
    const slot = this.#emptySlot();
    this.#scratch?.read(bytesOf(this.#pages[slot]), this.#positions[page] ?? 0);
    this.#put(page, slot);
    return slot;
  }

  #put(page: number, slot: number): void {
    this.#slotOf[page] = slot;
    this.#pageIn[slot] = page;
    this.#isUsed[slot] = true;
    this.#isChanged[slot] = false;
  }

  #emptySlot(): number {
    if (this.#scratch === undefined || this.#pages.length < maxPages) {
      return this.#pages.push(new DataView(new ArrayBuffer(pageRows * this.#rowSize))) - 1;
    }
    for (; this.#isUsed[this.#hand] === true; this.#hand = (this.#hand + 1) % maxPages) {
      this.#isUsed[this.#hand] = false;
    }
    const slot = this.#hand;
    this.#hand = (this.#hand + 1) % maxPages;
    const page = this.#pageIn[slot] ?? 0;
    const bytes = bytesOf(this.#pages[slot]);
    if (this.#isChanged[slot] === true) {
      const position = (this.#positions[page] ??= this.#scratch.allocate(bytes.length));
      this.#scratch.write(bytes, position);
    }
    this.#slotOf[page] = absent;
    return slot;
  }
}

function bytesOf(page: DataView | undefined): Buffer {
  return page === undefined ? Buffer.alloc(0) : Buffer.from(page.buffer);
}
