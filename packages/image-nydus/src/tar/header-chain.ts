import type { ByteString } from "../tree/inode.ts";
import type { ByteSource } from "./byte-source.ts";
import { entryPath, type TarExtensions } from "./entry-metadata.ts";
import { checkXattrs, mergePaxRecords, noPaxRecords, parsePaxRecords } from "./pax-records.ts";
import { tarFailure } from "./tar-error.ts";
import { blockSize, parseTarHeader, toText, type TarHeader } from "./tar-header.ts";
import type { TarLimits } from "./tar-limits.ts";

/** The header of an entry with all that stood in front of it. */
export interface HeaderChain {
  readonly header: TarHeader;
  readonly extensions: TarExtensions;
  readonly path: ByteString;
  /** Of the header block in the stream */
  readonly offset: number;
}

export interface HeaderChainOptions {
  readonly limits: TarLimits;
  /** Whether entries behind an end mark are entries */
  readonly afterEnd: "ignore" | "read";
}

/** Headers in front of one entry: each kind once is usual. */
const maxExtensions = 64;

const zeroBlock = Buffer.alloc(blockSize);

/** Bytes from the end of a content to the next block. */
export function paddingAfter(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

/**
 * Reads the headers of entries, one chain at each call, while the caller passes over the contents. `undefined` at the end of
 * the archive.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for blocks that are no headers, and what is too big for the limits
 */
export function headerChains(
  input: ByteSource,
  { limits, afterEnd }: HeaderChainOptions,
): () => Promise<HeaderChain | undefined> {
  // Two blocks of zeros are the end mark.
  const maxZeroBlocks = afterEnd === "ignore" ? 2 : Number.POSITIVE_INFINITY;
  let globalRecords = noPaxRecords;

  return async () => {
    let records = noPaxRecords;
    let longPath: ByteString | undefined;
    let longLinkPath: ByteString | undefined;
    for (let extensionCount = 0; ; extensionCount++) {
      const offset = input.offset;
      const header = await nextHeader();
      const failure = tarFailure(offset);
      if (header === undefined) {
        const isComplete =
          records === noPaxRecords && longPath === undefined && longLinkPath === undefined;
        if (isComplete) return undefined;
        throw failure("the archive ends where an entry has to follow");
      }
      if (extensionCount > maxExtensions) throw failure("too many headers for one entry");
      switch (header.type) {
        case "x":
        case "X":
          records = parsePaxRecords(await body(header, "maxPaxHeaderBytes"), failure);
          break;
        case "g":
          globalRecords = mergePaxRecords(
            globalRecords,
            parsePaxRecords(await body(header, "maxPaxHeaderBytes"), failure),
          );
          checkXattrs(globalRecords.xattrs, limits, failure);
          break;
        case "L":
          longPath = toText(await body(header, "maxPathBytes"));
          break;
        case "K":
          longLinkPath = toText(await body(header, "maxPathBytes"));
          break;
        default: {
          const merged = mergePaxRecords(globalRecords, records);
          const extensions = { records: merged, longPath, longLinkPath };
          // `input.offset` has moved on by blocks of zeros, too.
          const place = input.offset - blockSize;
          return { header, extensions, path: entryPath(header, extensions), offset: place };
        }
      }
    }
  };

  /** The next header block; `undefined` at the end. */
  async function nextHeader(): Promise<TarHeader | undefined> {
    for (let zeroBlocks = 0; zeroBlocks < maxZeroBlocks; zeroBlocks++) {
      const { offset } = input;
      const block = input.readNow(blockSize) ?? (await input.read(blockSize));
      if (block.equals(zeroBlock.subarray(0, block.length))) {
        if (block.length < blockSize) return undefined;
        continue;
      }
      const failure = tarFailure(offset);
      if (block.length < blockSize) throw failure("the stream ends in a header");
      if (zeroBlocks > 0 && afterEnd === "ignore") {
        throw failure("a header follows on a single block of zeros");
      }
      const header = parseTarHeader(block);
      if (header === undefined) throw failure("this is no header: its checksum is wrong");
      return header;
    }
    return undefined;
  }

  /** What an extension header holds. */
  async function body(
    header: TarHeader,
    limit: "maxPaxHeaderBytes" | "maxPathBytes",
  ): Promise<Buffer> {
    const failure = tarFailure(input.offset - blockSize);
    const size = header.number("size");
    if (size === undefined || size < 0) throw failure("its size is not a number of bytes");
    // Long names come with a NUL behind them.
    const max = limit === "maxPathBytes" ? limits.maxPathBytes + 1 : limits.maxPaxHeaderBytes;
    if (size > max) throw failure(`a header of ${size} bytes, more than ${max}`, limit);
    const bytes = await input.read(size);
    if (bytes.length < size) throw failure("the stream ends in a header");
    await input.skip(paddingAfter(size));
    return bytes;
  }
}
