import { LongshoreError } from "@longshore/core";
import type { ByteString } from "./inode.ts";

const pageSize = 262_144;
const maxPages = 2 ** 32 / pageSize;
/** In front of each text: its length, 16 bits */
const headSize = 2;

/** Texts of up to 65,535 bytes side by side in large pages, each known by its place: a number of 32 bits. */
export class PackedTexts {
  readonly #pages: Buffer[] = [];
  /** Bytes used of the last page */
  #used = pageSize;

  /** @throws {LongshoreError} `LIMIT_EXCEEDED` beyond 4 GiB in all, or 65,535 bytes in one */
  add(text: ByteString): number {
    const size = headSize + text.length;
    if (this.#used + size > pageSize) this.#addPage(text);
    const start = this.#used;
    const page = this.#pages.at(-1);
    page?.writeUInt16LE(text.length, start);
    page?.write(text, start + headSize, "latin1");
    this.#used += size;
    return (this.#pages.length - 1) * pageSize + start;
  }

  get(place: number): ByteString {
    const page = this.#page(place);
    const start = (place % pageSize) + headSize;
    return page.toString("latin1", start, start + lengthAt(page, place));
  }

  isEqual(place: number, text: ByteString): boolean {
    const page = this.#page(place);
    if (lengthAt(page, place) !== text.length) return false;
    const start = (place % pageSize) + headSize;
    for (let index = 0; index < text.length; index += 1) {
      if (page[start + index] !== text.charCodeAt(index)) return false;
    }
    return true;
  }

  /** Compares the bytes of two texts: negative when the first comes first. */
  compare(one: number, other: number): number {
    const first = this.#page(one);
    const second = this.#page(other);
    const firstStart = (one % pageSize) + headSize;
    const secondStart = (other % pageSize) + headSize;
    const difference = lengthAt(first, one) - lengthAt(second, other);
    const shared = difference < 0 ? lengthAt(first, one) : lengthAt(second, other);
    for (let index = 0; index < shared; index += 1) {
      const step = (first[firstStart + index] ?? 0) - (second[secondStart + index] ?? 0);
      if (step !== 0) return step;
    }
    return difference;
  }

  #page(place: number): Buffer {
    const page = this.#pages[Math.floor(place / pageSize)];
    if (page === undefined) throw new RangeError(`there is no text at ${place}`);
    return page;
  }

  #addPage({ length }: ByteString): void {
    if (length > 65_535 || this.#pages.length === maxPages) {
      throw new LongshoreError("LIMIT_EXCEEDED", "The texts of a tree are too long.", {
        details: { bytes: length },
      });
    }
    this.#pages.push(Buffer.allocUnsafeSlow(pageSize));
    this.#used = 0;
  }
}

function lengthAt(page: Buffer, place: number): number {
  const at = place % pageSize;
  return (page[at] ?? 0) + 256 * (page[at + 1] ?? 0);
}
