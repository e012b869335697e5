import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { blake3 } from "hash-wasm";
import { blobFeatures } from "../../src/rafs/blob-features.ts";
import { encodeBlobMetaHeader } from "../../src/rafs/blob-meta-header.ts";
import { blobWriter } from "../../src/rafs/blob-writer.ts";
import { encodeChunkInfo } from "../../src/rafs/chunk-info.ts";
import type { ImageBlob } from "../../src/rafs/readable-filesystem.ts";

/** A blob, with what has to come out of it. */
export interface BlobFixture {
  readonly blob: ImageBlob;
  /** The blob file */
  readonly stored: Buffer;
  /** Its whole uncompressed space */
  readonly plain: Buffer;
  readonly digests: readonly Buffer[];
  /** Offsets of the chunks in the uncompressed space */
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
}

/** Bytes that do not repeat, and always are the same: half of them compress. */
export function bytesOf(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let at = 0; at < size; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = at % 64 < 32 ? state >>> 24 : seed & 0xff;
  }
  return bytes;
}

/** A blob of chunks of these sizes, made by the package's own writer. */
export async function writeBlob(
  sizes: readonly number[],
  options: { compressor?: "none" | "zstd"; seed?: number; toc?: boolean } = {},
): Promise<BlobFixture> {
  const { compressor = "zstd", seed = 1, toc = true } = options;
  const written: Buffer[] = [];
  const sink = {
    write: (bytes: Buffer) => {
      written.push(Buffer.from(bytes));
      return Promise.resolve();
    },
  };
  const writer = blobWriter(sink, { compressor, toc });
  const chunks = sizes.map((size, index) => bytesOf(size, seed * 1_000 + index));
  const digests = chunks.map((bytes) => createHash("sha256").update(bytes).digest());
  for (const [index, bytes] of chunks.entries()) {
    await writer.append(bytes, digests[index] ?? Buffer.alloc(0));
  }
  const blob = await writer.finish();
  return { blob, stored: Buffer.concat(written), ...layout(chunks), digests, sizes };
}

/** A blob as Nydus' own tools may write it: other compressors and digests, a gap between chunks. */
export async function foreignBlob(
  sizes: readonly number[],
  compressor: "none" | "lz4" | "gzip" | "zstd",
): Promise<BlobFixture> {
  const chunks = sizes.map((size, index) => bytesOf(size, index + 77));
  const digests = await Promise.all(
    chunks.map(async (bytes) => Buffer.from(await blake3(bytes), "hex")),
  );
  const { plain, offsets } = layout(chunks);
  const table = Buffer.alloc(sizes.length * 16);
  const parts: Buffer[] = [];
  let position = 0;
  for (const [index, bytes] of chunks.entries()) {
    const packed = pack(bytes, compressor);
    const compressed = packed.length !== bytes.length;
    const offset = offsets[index] ?? 0;
    const place = { storedOffset: position, storedSize: packed.length, compressed };
    encodeChunkInfo(table, index * 16, { index, offset, size: bytes.length, ...place });
    parts.push(packed, Buffer.alloc(index % 3));
    position += packed.length + (index % 3);
  }
  const chunkTable = {
    offset: position,
    compressedSize: table.length,
    uncompressedSize: table.length,
    compressor: "none",
  } as const;
  const features = blobFeatures.aligned | blobFeatures.modern;
  const header = { ...chunkTable, features, chunkCount: sizes.length };
  const stored = Buffer.concat([...parts, table, encodeBlobMetaHeader(header)]);
  const blob: ImageBlob = {
    id: createHash("sha256").update(stored).digest("hex"),
    uncompressedSize: plain.length,
    compressedSize: stored.length,
    chunkCount: sizes.length,
    compressor,
    digester: "blake3",
    chunkTable,
    features,
  };
  return { blob, stored, plain, offsets, digests, sizes };
}

function layout(chunks: readonly Buffer[]): { plain: Buffer; offsets: number[] } {
  const offsets: number[] = [];
  const parts: Buffer[] = [];
  let offset = 0;
  for (const bytes of chunks) {
    offsets.push(offset);
    const padding = (4096 - (bytes.length % 4096)) % 4096;
    parts.push(bytes, Buffer.alloc(padding));
    offset += bytes.length + padding;
  }
  return { plain: Buffer.concat(parts), offsets };
}

function pack(bytes: Buffer, compressor: "none" | "lz4" | "gzip" | "zstd"): Buffer {
  switch (compressor) {
    case "none":
      return bytes;
    case "gzip":
      return gzipSync(bytes);
    case "zstd":
      return zstdCompressSync(bytes);
    case "lz4":
      return literalsOnly(bytes);
    default:
      return compressor satisfies never;
  }
}

/** The simplest valid LZ4 block: one sequence of literals. */
function literalsOnly(bytes: Buffer): Buffer {
  const lengths: number[] = [];
  for (let rest = bytes.length - 15; rest >= 0; rest -= 255) lengths.push(Math.min(rest, 255));
  if (lengths.at(-1) === 255) lengths.push(0);
  const token = Math.min(bytes.length, 15) << 4;
  return Buffer.concat([Buffer.from([token, ...lengths]), bytes]);
}
