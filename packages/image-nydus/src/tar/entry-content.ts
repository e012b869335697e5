import type { ByteSource } from "./byte-source.ts";
import type { TarContent } from "./tar-entry.ts";
import type { TarFailure } from "./tar-error.ts";

/** The content of one entry, which can be read as long as it is the entry's turn. */
export interface EntryContent {
  readonly bytes: AsyncIterable<TarContent>;
  /** Ends the entry's turn */
  close(): void;
}

export interface EntryContentOptions {
  readonly input: ByteSource;
  /** Bytes with holes */
  readonly size: number;
  /** Offset and size of each run of data in turns, in order */
  readonly runs: readonly number[];
  readonly failure: TarFailure;
}

/** The content of an entry without bytes. */
export const noContent: EntryContent = {
  bytes: { [Symbol.asyncIterator]: () => readNothing() },
  close: () => undefined,
};

/** Reads the bytes of an entry, of which the input has come to the first. */
export function entryContent(options: EntryContentOptions): EntryContent {
  let isOpen = true;
  let isTaken = false;

  function checkOpen(): void {
    if (!isOpen) throw new TypeError("The content of a tar entry was read after its turn.");
  }

  return {
    bytes: {
      [Symbol.asyncIterator]() {
        checkOpen();
        if (isTaken) throw new TypeError("The content of a tar entry can be read once only.");
        isTaken = true;
        return readRuns(options, checkOpen);
      },
    },
    close() {
      isOpen = false;
    },
  };
}

// Not inside of the function above: each function that is a generator has objects of its own that only the slow kind of
// garbage collection frees, and archives have many entries.
async function* readRuns(
  { input, size, runs, failure }: EntryContentOptions,
  checkOpen: () => void,
): AsyncGenerator<TarContent, void, undefined> {
  let position = 0;
  for (let index = 0; index < runs.length; index += 2) {
    const [offset = 0, length = 0] = [runs[index], runs[index + 1]];
    if (offset > position) yield { kind: "hole", size: offset - position };
    position = offset + length;
    for (let missing = length; missing > 0;) {
      checkOpen();
      const bytes = input.readNow(missing) ?? (await input.readSome(missing));
      if (bytes.length === 0) throw failure(`the stream ends ${missing} bytes too early`);
      missing -= bytes.length;
      yield { kind: "data", bytes };
    }
  }
  if (size > position) yield { kind: "hole", size: size - position };
}

async function* readNothing(): AsyncGenerator<TarContent, void, undefined> {}
