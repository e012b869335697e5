export interface ReadaheadOptions {
  /**
   * Stored bytes that a request for less is filled up to, with what follows in the blob: neighbours were side by side in
   * the image. 0 for none. @default 64 KiB
   */
  readonly minBytes?: number | undefined;
  /** Stored bytes fetched ahead of a sequential reader. 0 for none. @default 2 MiB */
  readonly maxBytes?: number | undefined;
}

/** Chunks of a read, by number. */
export interface ChunkSpan {
  readonly first: number;
  readonly last: number;
}

/** Where the chunks of a read lie among the stored bytes. */
interface StoredSpan extends ChunkSpan {
  readonly begin: number;
  readonly end: number;
}

/** How much to fetch besides what is read. */
interface ReadaheadAdvice {
  /** Stored bytes to fill a request up to */
  readonly fillBytes: number;
  /** Stored bytes behind the read that are likely to be read next */
  readonly aheadBytes: number;
}

/** Watches the reads of a blob, and says how much to fetch ahead of each. */
export interface Readahead {
  next(span: StoredSpan): ReadaheadAdvice;
}

interface Stream {
  readonly begin: number;
  last: number;
  aheadBytes: number;
}

/** Readers that are told apart */
const maxStreams = 16;
/** Ahead of a reader that has just gone on, and part of what it has passed for one that does for long */
const firstWindow = 131_072;
const passedShare = 1 / 4;

/**
 * A reader that goes on where it was gets the more ahead the more it has passed: where it will stop is not known, and what
 * was fetched for nothing then is little beside what was read. All others get nothing but a filled request.
 */
export function readahead(options: ReadaheadOptions = {}): Readahead {
  const { minBytes = 65_536, maxBytes = 2 * 1_048_576 } = options;
  // The one that was used last stands last.
  const streams: Stream[] = [];
  return {
    next({ first, last, begin, end }) {
      const at = streams.findIndex((stream) => first === stream.last || first === stream.last + 1);
      const [known] = at === -1 ? [] : streams.splice(at, 1);
      const stream = known ?? { begin, last, aheadBytes: 0 };
      if (last > stream.last) {
        stream.last = last;
        const passed = (end - stream.begin) * passedShare;
        stream.aheadBytes = Math.min(maxBytes, Math.max(firstWindow, passed));
      }
      streams.push(stream);
      if (streams.length > maxStreams) streams.shift();
      return { fillBytes: minBytes, aheadBytes: stream.aheadBytes };
    },
  };
}
