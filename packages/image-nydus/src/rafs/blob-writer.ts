import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import { LongshoreError } from "@longshore/core/errors";
import { alignUp } from "../erofs/align-up.ts";
import type { ChunkRef } from "../tree/inode.ts";
import { PackedRows } from "../tree/packed-rows.ts";
import { requireChunkSize } from "./algorithms.ts";
import { blobFeatures } from "./blob-features.ts";
import { encodeBlobMetaHeader, type BlobMetaHeader } from "./blob-meta-header.ts";
import { encodeToc, sectionHeader, type TocEntry } from "./blob-toc.ts";
import type { TocReference } from "./blob-table.ts";
import { maxBlobChunks } from "./blob-table.ts";
import type { ByteSink } from "./byte-sink.ts";
import { chunkInfoSize, decodeChunkInfo, maxStoredSize } from "./chunk-info.ts";
import { ChunkSizes } from "./chunk-sizes.ts";
import type { ImageBlob } from "./readable-filesystem.ts";

const compressZstd = promisify(zstdCompress);
const block = 4096;
/** Beyond it, block numbers of 32 bits and table sizes do not reach */
const maxDataSize = Math.min(maxStoredSize, 2 ** 32 * block);
const zeros = Buffer.alloc(block);
const digestSize = 32;

export interface BlobWriterOptions {
  /** Bytes a chunk has at most: a power of two from 4 KiB to 16 MiB. @default 1 MiB */
  readonly chunkSize?: number;
  /**
   * `"none"` pads chunks to 4 KiB, so that a kernel can use the file as a device. `"zstd"` packs them for transport; both
   * have the same offsets in the uncompressed space. @default "none"
   */
  readonly compressor?: "none" | "zstd";
  /** Of zstd, 1–22. @default 3 */
  readonly level?: number;
  /** Ends the blob with digests and a list of its sections, as blobs in a registry have. @default false */
  readonly toc?: boolean;
  /** What the chunks name their blob until its id is known. @default "new" */
  readonly name?: string;
}

/** A blob that was written, ready for an image's blob table. */
export interface FinishedBlob extends ImageBlob {
  /** What the {@link ChunkRef}s of this writer name it by */
  readonly name: string;
  /** Bytes of its chunks: those a kernel maps as a device, when they are not compressed */
  readonly dataSize: number;
  readonly toc?: TocReference | undefined;
  /** Where a chunk of a compressed blob lies in the file */
  readonly stored?:
    | ((index: number) => { readonly offset: number; readonly size: number })
    | undefined;
}

/** Writes one blob, chunk by chunk. Calls must not overlap. */
export interface BlobWriter {
  /**
   * Appends a chunk.
   *
   * @param digest sha256 of the bytes
   * @throws {LongshoreError} `LIMIT_EXCEEDED` when the blob is full, `VALIDATION_ERROR` for a chunk of a wrong size
   */
  append(bytes: Buffer, digest: Buffer): Promise<ChunkRef>;
  /** Chunks so far */
  readonly chunkCount: number;
  /**
   * Writes what stands behind the chunks.
   *
   * @throws {LongshoreError} `VALIDATION_ERROR` when there are no chunks: no image may list such a blob
   */
  finish(): Promise<FinishedBlob>;
}

/**
 * Writes a data blob in one pass. Memory: one chunk, and 8 bytes for each chunk written (40 with a list of sections).
 */
export function blobWriter(sink: ByteSink, options: BlobWriterOptions = {}): BlobWriter {
  const { compressor = "none", level = 3, toc = false, name = "new" } = options;
  const chunkSize = requireChunkSize(options.chunkSize ?? 1_048_576);
  const blobHash = createHash("sha256");
  const dataHash = createHash("sha256");
  const sizes = new ChunkSizes(compressor !== "none");
  const digests = new PackedRows(digestSize);
  /** End of the last chunk in the uncompressed space, and in the file */
  let offset = 0;
  let position = 0;
  let finished = false;

  const put = async (bytes: Buffer): Promise<void> => {
    blobHash.update(bytes);
    await sink.write(bytes);
    position += bytes.length;
  };
  const putData = async (bytes: Buffer): Promise<void> => {
    if (toc) dataHash.update(bytes);
    await put(bytes);
  };

  const pack = async (bytes: Buffer): Promise<Buffer> => {
    if (compressor === "none") return bytes;
    const packed = await compressZstd(bytes, {
      params: { [constants.ZSTD_c_compressionLevel]: level },
    });
    return packed.length < bytes.length ? packed : bytes;
  };

  return {
    get chunkCount() {
      return sizes.length;
    },
    async append(bytes, digest) {
      const index = sizes.length;
      requireRoom({ bytes, chunkSize, count: index, position, offset, finished });
      const packed = await pack(bytes);
      const chunk = { blobId: name, index, offset, size: bytes.length, digest };
      sizes.add(bytes.length, packed.length);
      if (toc) digests.setBytes(digests.add(), 0, digest);
      offset = alignUp(offset + bytes.length, block);
      await putData(packed);
      if (compressor === "none") await putData(zeros.subarray(0, offset - position));
      return chunk;
    },
    async finish() {
      const chunkCount = sizes.length;
      if (chunkCount === 0 || finished) {
        throw new LongshoreError(
          "VALIDATION_ERROR",
          finished ? "The blob is finished already" : "A blob needs at least one chunk",
        );
      }
      finished = true;
      const dataSize = position;
      const entries: TocEntry[] = [];
      if (toc) {
        entries.push({
          name: "image.blob",
          compressor: "none",
          digest: dataHash.digest(),
          offset: 0,
          compressedSize: dataSize,
          uncompressedSize: offset,
        });
        await put(sectionHeader("image.blob", dataSize));
      }
      const table = await putChunkTable({ put, sizes, compressor, offset: position, toc });
      const { header } = table;
      const headerBytes = encodeBlobMetaHeader(header);
      await put(headerBytes);
      const reference = toc ? await putSections({ entries, table, headerBytes }) : undefined;
      return {
        name,
        id: blobHash.digest("hex"),
        dataSize,
        uncompressedSize: offset,
        compressedSize: position,
        chunkCount,
        compressor,
        digester: "sha256",
        chunkTable: {
          offset: header.offset,
          compressedSize: header.compressedSize,
          uncompressedSize: header.uncompressedSize,
          compressor: header.compressor,
        },
        features: header.features,
        toc: reference,
        stored: table.plain && storedIn(table.plain),
      };
    },
  };

  async function putSections(parts: {
    readonly entries: TocEntry[];
    readonly table: WrittenTable;
    readonly headerBytes: Buffer;
  }): Promise<TocReference> {
    const { entries, table, headerBytes } = parts;
    const { header, digest } = table;
    await put(sectionHeader("blob.meta", header.compressedSize + headerBytes.length));
    const digestArray = Buffer.concat(
      Array.from({ length: digests.length }, (_, index) => digests.copyOf(index)),
    );
    entries.push(
      {
        name: "blob.meta",
        compressor: header.compressor,
        digest,
        offset: header.offset,
        compressedSize: header.compressedSize,
        uncompressedSize: header.uncompressedSize,
      },
      plainSection("blob.meta.header", header.offset + header.compressedSize, headerBytes),
      plainSection("blob.digest", position, digestArray),
    );
    await put(digestArray);
    await put(sectionHeader("blob.digest", digestArray.length));
    const bytes = encodeToc(entries);
    await put(bytes);
    return { size: bytes.length, digest: sha256(bytes) };
  }
}

interface TableParts {
  readonly put: (bytes: Buffer) => Promise<void>;
  readonly sizes: ChunkSizes;
  readonly compressor: "none" | "zstd";
  readonly offset: number;
  readonly toc: boolean;
}

interface WrittenTable {
  readonly header: BlobMetaHeader;
  /** sha256 of the entries, uncompressed */
  readonly digest: Buffer;
  /** The entries, uncompressed; absent where chunks lie in the file as they lie in the uncompressed space */
  readonly plain?: Buffer | undefined;
}

async function putChunkTable(parts: TableParts): Promise<WrittenTable> {
  const { put, sizes, compressor, offset, toc } = parts;
  const { aligned, modern, tarHeaders, inlineDigests } = blobFeatures;
  const extra = toc ? tarHeaders | blobFeatures.toc | inlineDigests : 0;
  const uncompressedSize = sizes.length * chunkInfoSize.v1;
  const common = {
    features: aligned | modern | extra,
    chunkCount: sizes.length,
    offset,
    uncompressedSize,
  };
  if (compressor === "none") {
    const hash = createHash("sha256");
    for (const piece of sizes.table()) {
      hash.update(piece);
      await put(piece);
    }
    const header = { ...common, compressor, compressedSize: uncompressedSize };
    return { header, digest: hash.digest() };
  }
  const plain = Buffer.concat([...sizes.table()]);
  const packed = await compressZstd(plain);
  const stored = packed.length < plain.length ? packed : plain;
  await put(stored);
  const header: BlobMetaHeader = {
    ...common,
    compressor: stored === plain ? "none" : "zstd",
    compressedSize: stored.length,
  };
  return { header, digest: sha256(plain), plain };
}

function storedIn(table: Buffer) {
  return (index: number): { readonly offset: number; readonly size: number } => {
    const isThere = index < table.length / chunkInfoSize.v1;
    const chunk = isThere ? decodeChunkInfo(table, index, "v1") : undefined;
    if (chunk === undefined) throw new RangeError(`The blob has no chunk ${index}`);
    return { offset: chunk.storedOffset, size: chunk.storedSize };
  };
}

function plainSection(name: TocEntry["name"], offset: number, bytes: Buffer): TocEntry {
  const size = bytes.length;
  return {
    name,
    compressor: "none",
    digest: sha256(bytes),
    offset,
    compressedSize: size,
    uncompressedSize: size,
  };
}

function sha256(bytes: Buffer): Buffer {
  return createHash("sha256").update(bytes).digest();
}

interface AppendState {
  readonly bytes: Buffer;
  readonly chunkSize: number;
  readonly count: number;
  readonly position: number;
  readonly offset: number;
  readonly finished: boolean;
}

function requireRoom(state: AppendState): void {
  const { bytes, chunkSize, count, position, offset, finished } = state;
  if (finished) throw new LongshoreError("VALIDATION_ERROR", "The blob is finished already");
  if (bytes.length === 0 || bytes.length > chunkSize) {
    throw new LongshoreError(
      "VALIDATION_ERROR",
      `A chunk must have 1 to ${chunkSize} bytes, got ${bytes.length}`,
    );
  }
  const reserve = 2 * chunkSize + (count + 1) * 64 + 8 * block;
  if (count >= maxBlobChunks || Math.max(position, offset) + reserve > maxDataSize) {
    throw new LongshoreError(
      "LIMIT_EXCEEDED",
      `The blob is full: it has ${count} chunks and ${position} bytes; begin another one`,
    );
  }
}
