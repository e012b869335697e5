import { alignUp } from "../erofs/align-up.ts";
import { blobFeatures } from "./blob-features.ts";
import { maxBlobChunks } from "./blob-table.ts";
import {
  blobMetaHeaderSize,
  decodeBlobMetaHeader,
  type BlobMetaHeader,
} from "./blob-meta-header.ts";
import {
  chunkInfoSize,
  decodeChunkInfo,
  type ChunkInfoVersion,
  type StoredChunk,
} from "./chunk-info.ts";
import { decompress } from "./decompress.ts";
import { rafsFault, unsupportedRafs } from "./rafs-fault.ts";
import type { ImageBlob } from "./readable-filesystem.ts";

/** The chunk table of a blob: where each chunk lies in the blob file. */
export interface BlobMeta {
  readonly chunkCount: number;
  readonly header: BlobMetaHeader;
  /** The chunk of that number. @throws {RangeError} when the blob has none */
  chunk(index: number): StoredChunk;
  /** The chunk that holds the byte of the uncompressed space; `undefined` in padding and behind the end */
  find(offset: number): StoredChunk | undefined;
}

export interface ReadBlobMetaOptions {
  /** What the image says of the blob; the table must agree with it */
  readonly blob?: Pick<ImageBlob, "chunkCount" | "chunkTable" | "uncompressedSize"> | undefined;
  /**
   * `"blob"`: as it lies in a blob, from `chunkTable.offset` on, table and header. `"cache"`: a `.blob.meta` file, with
   * the plain table padded to 4 KiB in front of the header. @default "blob"
   */
  readonly form?: "blob" | "cache";
}

/**
 * Reads the chunk table of a blob, in its first or second version, and checks every entry of it.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when it contradicts itself or the image; `VALIDATION_ERROR` for blobs
 * with gzip checkpoints, batches or encryption
 */
export function readBlobMeta(bytes: Buffer, options: ReadBlobMetaOptions = {}): BlobMeta {
  const { blob, form = "blob" } = options;
  if (bytes.length < blobMetaHeaderSize) {
    throw rafsFault("blob-meta-size", `a chunk table with its header has ${bytes.length} bytes`);
  }
  const headerAt = bytes.length - blobMetaHeaderSize;
  const header = decodeBlobMetaHeader(bytes.subarray(headerAt));
  const version = checkHeader(header);
  if (blob !== undefined) checkAgreement(header, blob);
  const table = plainTable(bytes.subarray(0, headerAt), header, form);
  checkChunks(table, { header, version, uncompressedSize: blob?.uncompressedSize ?? Infinity });
  return {
    chunkCount: header.chunkCount,
    header,
    chunk(index) {
      if (!Number.isInteger(index) || index < 0 || index >= header.chunkCount) {
        throw new RangeError(
          `The blob has ${header.chunkCount} chunks, and none of number ${index}`,
        );
      }
      return requireChunk(table, index, version);
    },
    find(offset) {
      let low = 0;
      let high = header.chunkCount - 1;
      while (low <= high) {
        const middle = (low + high) >>> 1;
        const chunk = requireChunk(table, middle, version);
        if (offset < chunk.offset) high = middle - 1;
        else if (offset >= chunk.offset + chunk.size) low = middle + 1;
        else return chunk;
      }
      return undefined;
    },
  };
}

function checkHeader(header: BlobMetaHeader): ChunkInfoVersion {
  const { zran, batch, encrypted, chunkInfoV2 } = blobFeatures;
  const advice = "convert the original image instead";
  if (header.features & zran) throw unsupportedRafs("that refer to compressed OCI layers", advice);
  if (header.features & batch) throw unsupportedRafs("with batched chunks", advice);
  if (header.features & encrypted) throw unsupportedRafs("with encryption", advice);
  const version = header.features & chunkInfoV2 ? "v2" : "v1";
  const { chunkCount, compressedSize, uncompressedSize } = header;
  if (chunkCount === 0 || chunkCount > maxBlobChunks) {
    throw rafsFault("blob-chunk-count", `a chunk table has ${chunkCount} entries`);
  }
  if (
    uncompressedSize !== chunkCount * chunkInfoSize[version] ||
    compressedSize > uncompressedSize
  ) {
    throw rafsFault(
      "blob-meta-size",
      `a table of ${chunkCount} chunks has ${uncompressedSize} bytes`,
    );
  }
  if (header.compressor === "none" && compressedSize !== uncompressedSize) {
    throw rafsFault("blob-meta-size", "a plain chunk table has two sizes");
  }
  return version;
}

function checkAgreement(
  header: BlobMetaHeader,
  blob: Pick<ImageBlob, "chunkCount" | "chunkTable">,
): void {
  const table = blob.chunkTable;
  if (
    header.chunkCount !== blob.chunkCount ||
    header.compressor !== table.compressor ||
    header.offset !== table.offset ||
    header.compressedSize !== table.compressedSize ||
    header.uncompressedSize !== table.uncompressedSize
  ) {
    throw rafsFault("blob-meta-header", "a chunk table is not the one that the image names");
  }
}

function plainTable(stored: Buffer, header: BlobMetaHeader, form: "blob" | "cache"): Buffer {
  const { compressedSize, uncompressedSize, compressor } = header;
  const expected = form === "cache" ? alignUp(uncompressedSize, 4096) : compressedSize;
  if (stored.length !== expected) {
    throw rafsFault(
      "blob-meta-size",
      `a chunk table has ${stored.length} bytes in place of ${expected}`,
    );
  }
  if (form === "cache") return stored.subarray(0, uncompressedSize);
  return decompress(stored, compressor, uncompressedSize);
}

interface TableFacts {
  readonly header: BlobMetaHeader;
  readonly version: ChunkInfoVersion;
  readonly uncompressedSize: number;
}

function checkChunks(table: Buffer, { header, version, uncompressedSize }: TableFacts): void {
  let offset = 0;
  for (let index = 0; index < header.chunkCount; index += 1) {
    const chunk = requireChunk(table, index, version);
    if (chunk.offset !== offset) {
      throw rafsFault(
        "blob-meta-chunk",
        `chunk ${index} of a blob lies at ${chunk.offset}, not ${offset}`,
      );
    }
    if (!chunk.compressed && chunk.size !== chunk.storedSize) {
      throw rafsFault("blob-meta-chunk", `chunk ${index} of a blob is plain and has two sizes`);
    }
    if (chunk.storedOffset + chunk.storedSize > header.offset) {
      throw rafsFault("blob-meta-chunk", `chunk ${index} of a blob reaches into its chunk table`);
    }
    offset = alignUp(chunk.offset + chunk.size, 4096);
  }
  if (offset > uncompressedSize) {
    throw rafsFault(
      "blob-meta-chunk",
      `the chunks of a blob take ${offset} of ${uncompressedSize} bytes`,
    );
  }
}

function requireChunk(table: Buffer, index: number, version: ChunkInfoVersion): StoredChunk {
  const chunk = decodeChunkInfo(table, index, version);
  if (chunk !== undefined) return chunk;
  throw rafsFault("blob-meta-chunk", `chunk ${index} of a blob is stored in an unknown way`);
}
