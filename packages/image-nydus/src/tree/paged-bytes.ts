import type { ScratchSpace } from "./scratch-space.ts";

const absent = -1;

export interface PagedBytesOptions {
  /** Bytes of a page */
  readonly pageSize: number;
  /** Takes the pages that were not used for the longest time. @default all stay in memory */
  readonly scratch?: ScratchSpace | undefined;
  /** Pages that stay in memory when there is a scratch space */
  readonly maxPages: number;
}

/** Bytes in pages, numbered from 0. A page that was got counts until the next but one is got. */
export class PagedBytes {
  readonly #pageSize: number;
  readonly #scratch: ScratchSpace | undefined;
  readonly #maxPages: number;
  /** By page: the slot it is in, {@link absent} when it is in the scratch space */
  readonly #slotOf: number[] = [];
  /** By page: where in the scratch space it was last written */
  readonly #positions: (number | undefined)[] = [];
  // By slot: a page in memory, which one it is, whether it was used of late and differs from the scratch space.
  readonly #views: DataView[] = [];
  readonly #pageIn: number[] = [];
  readonly #isUsed: boolean[] = [];
  readonly #isChanged: boolean[] = [];
  /** The slot to look at next for one that can be emptied */
  #hand = 0;

  constructor({ pageSize, scratch, maxPages }: PagedBytesOptions) {
    this.#pageSize = pageSize;
    this.#scratch = scratch;
    this.#maxPages = maxPages;
  }

  /** Pages so far */
  get length(): number {
    return this.#slotOf.length;
  }

  /** Adds a page of zeros. */
  add(): void {
    const slot = this.#emptySlot();
    bytesOf(this.#views[slot]).fill(0);
    this.#put(this.length, slot);
    this.#isChanged[slot] = true;
  }

  /** A page, to be read. */
  get(page: number): DataView {
    return this.#view(this.#slot(page));
  }

  /** A page, to be written. */
  change(page: number): DataView {
    const slot = this.#slot(page);
    this.#isChanged[slot] = true;
    return this.#view(slot);
  }

  /** Copies a few bytes of a page, and reads no more than these from the scratch space. */
  copy(page: number, start: number, target: Buffer): void {
    const position = this.#positions[page];
    if (this.#slotOf[page] === absent && position !== undefined) {
      this.#scratch?.read(target, position + start);
    } else bytesOf(this.get(page)).copy(target, 0, start);
  }

  #slot(page: number): number {
    const slot = this.#slotOf[page];
    if (slot === undefined) throw new RangeError(`there is no page ${page}`);
    if (slot === absent) return this.#load(page);
    this.#isUsed[slot] = true;
    return slot;
  }

  #view(slot: number): DataView {
    const view = this.#views[slot];
    if (view === undefined) throw new RangeError(`there is no slot ${slot}`);
    return view;
  }

  #load(page: number): number {
    const slot = this.#emptySlot();
    this.#scratch?.read(bytesOf(this.#views[slot]), this.#positions[page] ?? 0);
    this.#put(page, slot);
    return slot;
  }

  #put(page: number, slot: number): void {
    this.#slotOf[page] = slot;
    this.#pageIn[slot] = page;
    this.#isUsed[slot] = true;
    this.#isChanged[slot] = false;
  }

  /** Makes room for a page, where the one was that the hand of a clock meets first of those not used since it last came by. */
  #emptySlot(): number {
    const maxPages = this.#maxPages;
    if (this.#scratch === undefined || this.#views.length < maxPages) {
      return this.#views.push(new DataView(new ArrayBuffer(this.#pageSize))) - 1;
    }
    for (; this.#isUsed[this.#hand] === true; this.#hand = (this.#hand + 1) % maxPages) {
      this.#isUsed[this.#hand] = false;
    }
    const slot = this.#hand;
    this.#hand = (this.#hand + 1) % maxPages;
    const page = this.#pageIn[slot] ?? 0;
    if (this.#isChanged[slot] === true) {
      const position = (this.#positions[page] ??= this.#scratch.allocate(this.#pageSize));
      this.#scratch.write(bytesOf(this.#views[slot]), position);
    }
    this.#slotOf[page] = absent;
    return slot;
  }
}

/** The bytes of a page, not copied. */
export function bytesOf(page: DataView | undefined): Buffer {
  return page === undefined ? Buffer.alloc(0) : Buffer.from(page.buffer);
}
