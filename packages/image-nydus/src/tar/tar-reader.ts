import type { Abortable } from "@longshore/core";
import { byteSource, type ByteSource } from "./byte-source.ts";
import { entryContent, noContent, type EntryContent } from "./entry-content.ts";
import { entryKind, entryMetadata, storedSize } from "./entry-metadata.ts";
import { headerChains, paddingAfter, type HeaderChain } from "./header-chain.ts";
import { readSparseMap } from "./sparse-map.ts";
import type { TarEntry } from "./tar-entry.ts";
import { tarFailure } from "./tar-error.ts";
import { defaultTarLimits, type TarLimits } from "./tar-limits.ts";

export interface ReadTarOptions extends Abortable {
  /** What the stream may ask for at most. @default see {@link TarLimits} */
  readonly limits?: Partial<TarLimits> | undefined;
  /**
   * What to do with bytes behind the end mark of the archive. `"ignore"` reads them but takes no entries from them, as the
   * programs that unpack container images do; `"read"` takes them for one more archive.
   *
   * @default "ignore"
   */
  readonly afterEnd?: "ignore" | "read" | undefined;
}

/**
 * Reads a tar stream entry by entry: v7, ustar, PAX and GNU, with sparse files, extended attributes and names of whatever
 * bytes. Contents are passed on as they come, never copied or held; all else is bounded by limits.
 *
 * What is no file of a tree (volume labels, dump directories) is left out. A missing end mark is no error, a stream that ends
 * inside of an entry is one. The source is read to its end, or closed when reading stops early.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` with `{ problem, entry, offset, limit }` as details, also while a content is
 *   read; the signal's reason when aborted; what the source throws
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  options: ReadTarOptions = {},
): AsyncGenerator<TarEntry, void, undefined> {
  const { signal, afterEnd = "ignore" } = options;
  const limits: TarLimits = { ...defaultTarLimits, ...options.limits };
  const input = byteSource(source, { signal });
  try {
    const nextChain = headerChains(input, { limits, afterEnd });
    for (let count = 1; ; count++) {
      const chain = await nextChain();
      if (chain === undefined) break;
      if (count > limits.maxEntries) {
        throw tarFailure(chain.offset)(`more than ${limits.maxEntries} entries`, "maxEntries");
      }
      const { entry, content, end } = await openEntry(input, chain, limits);
      if (entry !== undefined) yield entry;
      content.close();
      await passTo(input, end, chain);
    }
    // Whoever checks the size or digest of the stream has to see all of it.
    await input.skip(Number.POSITIVE_INFINITY);
  } finally {
    await input.close();
  }
}

interface OpenEntry {
  /** Absent for what is left out */
  readonly entry?: TarEntry;
  readonly content: EntryContent;
  /** Offset in the stream behind the stored bytes */
  readonly end: number;
}

async function openEntry(
  input: ByteSource,
  chain: HeaderChain,
  limits: TarLimits,
): Promise<OpenEntry> {
  const { header, extensions, path } = chain;
  const { records } = extensions;
  const failure = tarFailure(chain.offset, path);
  const kind = entryKind(header, path);
  const stored = storedSize(header, records, { kind, failure });
  let end = input.offset + stored;
  if (kind === undefined) return { content: noContent, end };
  const metadata = entryMetadata(header, extensions, { kind, limits, failure });
  const source = { input, header, records, limits, failure };
  const sparse = kind === "file" ? await readSparseMap(source, stored) : undefined;
  // The maps of the old format are not part of the stored bytes.
  if (header.type === "S") end = input.offset + stored;
  const size = sparse?.size ?? stored;
  if (size > limits.maxEntryBytes) {
    throw failure(`a file of ${size} bytes, more than ${limits.maxEntryBytes}`, "maxEntryBytes");
  }
  const runs = sparse?.runs ?? [0, size];
  const content = size === 0 ? noContent : entryContent({ input, size, runs, failure });
  return { entry: { ...metadata, size, content: content.bytes }, content, end };
}

/** Passes over what was not read of an entry, and the padding behind it. */
async function passTo(input: ByteSource, end: number, chain: HeaderChain): Promise<void> {
  const missing = end - input.offset;
  if (missing > 0 && (await input.skip(missing)) < missing) {
    throw tarFailure(chain.offset, chain.path)("the stream ends before its last byte");
  }
  const padding = paddingAfter(end);
  // Programs that write no end mark may leave out the last padding, too.
  if (input.readNow(padding) === undefined) await input.skip(padding);
}
