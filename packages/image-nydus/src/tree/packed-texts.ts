import { LongshoreError } from "@longshore/core/errors";
import type { ByteString } from "./inode.ts";
import { bytesOf, PagedBytes } from "./paged-bytes.ts";
import type { ScratchSpace } from "./scratch-space.ts";

const pageSize = 8_192;
const maxPages = 1_024;
/** In front of each text: its length, 16 bits */
const headSize = 2;

/** Names and link targets side by side in pages, each known by its place: a number of 32 bits. */
export class PackedTexts {
  readonly #pages: PagedBytes;
  /** Bytes used of the last page */
  #used = pageSize;

  /** @param scratch takes what is seldom looked at; 8 MiB stay in memory */
  constructor(scratch?: ScratchSpace) {
    this.#pages = new PagedBytes({ pageSize, scratch, maxPages });
  }

  /** @throws {LongshoreError} `LIMIT_EXCEEDED` beyond 4 GiB in all, or 8 KiB in one */
  add(text: ByteString): number {
    const size = headSize + text.length;
    if (this.#used + size > pageSize) {
      if (size > pageSize || this.#pages.length === 2 ** 32 / pageSize) throw tooLong(text);
      this.#pages.add();
      this.#used = 0;
    }
    const page = this.#pages.length - 1;
    const start = this.#used;
    const view = this.#pages.change(page);
    view.setUint16(start, text.length, true);
    bytesOf(view).write(text, start + headSize, "latin1");
    this.#used += size;
    return page * pageSize + start;
  }

  get(place: number): ByteString {
    const page = this.#page(place);
    const { start, end } = boundsOf(page, place);
    return bytesOf(page).toString("latin1", start, end);
  }

  isEqual(place: number, text: ByteString): boolean {
    const page = this.#page(place);
    const { start, end } = boundsOf(page, place);
    if (end - start !== text.length) return false;
    for (let index = 0; index < text.length; index += 1) {
      if (page.getUint8(start + index) !== text.charCodeAt(index)) return false;
    }
    return true;
  }

  /** Compares the bytes of two texts: negative when the first comes first. */
  compare(one: number, other: number): number {
    // The one may have made room for the other; then it comes back, and the other stays.
    this.#page(one);
    const second = this.#page(other);
    const first = this.#page(one);
    const firstBounds = boundsOf(first, one);
    const secondBounds = boundsOf(second, other);
    const firstLength = firstBounds.end - firstBounds.start;
    const secondLength = secondBounds.end - secondBounds.start;
    for (let index = 0; index < firstLength && index < secondLength; index += 1) {
      const step =
        first.getUint8(firstBounds.start + index) - second.getUint8(secondBounds.start + index);
      if (step !== 0) return step;
    }
    return firstLength - secondLength;
  }

  #page(place: number): DataView {
    return this.#pages.get(Math.floor(place / pageSize));
  }
}

/** Where a text is in its page. */
function boundsOf(page: DataView, place: number): { readonly start: number; readonly end: number } {
  const head = place % pageSize;
  const start = head + headSize;
  return { start, end: start + page.getUint16(head, true) };
}

function tooLong({ length }: ByteString): LongshoreError {
  return new LongshoreError(
    "LIMIT_EXCEEDED",
    "The names and link targets of a tree are too long.",
    {
      details: { bytes: length },
    },
  );
}
