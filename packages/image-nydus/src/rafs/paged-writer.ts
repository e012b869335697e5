import { createHash } from "node:crypto";
import type { ByteSink } from "./byte-sink.ts";

/** Gathers small writes, in order, and passes them on in pages. */
export interface PagedWriter {
  /** Bytes so far */
  readonly position: number;
  /** `size` zeros to fill in before the next call */
  reserve(size: number): Buffer;
  /** Adds zeros up to a position. */
  padTo(position: number): void;
  /** Whether {@link flush} is due */
  readonly isFull: boolean;
  /** Hands what was gathered to the sink. */
  flush(): Promise<void>;
  /** sha256 of everything, hex; after the last flush */
  digest(): string;
}

const pageSize = 262_144;

/** Memory: one page of 256 KiB, or twice the biggest single piece. */
export function pagedWriter(sink: ByteSink): PagedWriter {
  const hash = createHash("sha256");
  let page = Buffer.alloc(2 * pageSize);
  let used = 0;
  let flushed = 0;

  const reserve = (size: number): Buffer => {
    if (used + size > page.length) {
      const bigger = Buffer.alloc(2 * (used + size));
      page.copy(bigger, 0, 0, used);
      page = bigger;
    }
    used += size;
    return page.subarray(used - size, used);
  };

  return {
    get position() {
      return flushed + used;
    },
    reserve,
    padTo(position) {
      const missing = position - flushed - used;
      if (missing < 0) throw new RangeError(`position ${position} is written already`);
      reserve(missing);
    },
    get isFull() {
      return used >= pageSize;
    },
    async flush() {
      const bytes = page.subarray(0, used);
      hash.update(bytes);
      await sink.write(bytes);
      bytes.fill(0);
      flushed += used;
      used = 0;
    },
    digest: () => hash.digest("hex"),
  };
}
