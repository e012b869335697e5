import { readU64, writeU64 } from "../erofs/read-u64.ts";
import { compressorNumber, compressorOf, digesterNumber, digesterOf } from "./algorithms.ts";
import { rafsFault } from "./rafs-fault.ts";
import type { ImageBlob } from "./readable-filesystem.ts";

/** Bytes of one entry of the blob table. */
export const blobEntrySize = 256;
/** Blobs that an image can have. */
export const maxBlobs = 254;
/** Chunks that a blob can have. */
export const maxBlobChunks: number = 2 ** 24;

/** The list of sections at the end of a blob, as the blob table refers to it. */
export interface TocReference {
  /** Bytes, with its tar header */
  readonly size: number;
  /** sha256 of those bytes */
  readonly digest: Buffer;
}

/** A blob as an entry of the blob table describes it. */
export interface BlobEntry extends ImageBlob {
  /** Position in the table */
  readonly index: number;
  readonly chunkSize: number;
  readonly toc?: TocReference | undefined;
  /** 0 for none */
  readonly cipher: number;
}

/** One entry as it is stored. */
export function encodeBlobEntry(entry: Omit<BlobEntry, "cipher">): Buffer {
  const bytes = Buffer.alloc(blobEntrySize);
  bytes.write(entry.id, 0, 64, "latin1");
  bytes.writeUInt32LE(entry.index, 64);
  bytes.writeUInt32LE(entry.chunkSize, 68);
  bytes.writeUInt32LE(entry.chunkCount, 72);
  bytes.writeUInt32LE(compressorNumber(entry.compressor), 76);
  bytes.writeUInt32LE(digesterNumber(entry.digester), 80);
  bytes.writeUInt32LE(entry.features >>> 0, 84);
  writeU64(bytes, entry.compressedSize, 88);
  writeU64(bytes, entry.uncompressedSize, 96);
  bytes.writeUInt32LE(entry.toc?.size ?? 0, 104);
  bytes.writeUInt32LE(compressorNumber(entry.chunkTable.compressor), 108);
  writeU64(bytes, entry.chunkTable.offset, 112);
  writeU64(bytes, entry.chunkTable.compressedSize, 120);
  writeU64(bytes, entry.chunkTable.uncompressedSize, 128);
  entry.toc?.digest.copy(bytes, 136, 0, 32);
  return bytes;
}

/**
 * Reads one entry.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when it names an algorithm that does not exist
 */
export function decodeBlobEntry(image: Buffer, at: number): BlobEntry {
  const compressor = compressorOf(image.readUInt32LE(at + 76));
  const digester = digesterOf(image.readUInt32LE(at + 80));
  const tableCompressor = compressorOf(image.readUInt32LE(at + 108));
  if (compressor === undefined || tableCompressor === undefined) {
    throw rafsFault("blob-compressor", "a blob names an unknown compressor");
  }
  if (digester === undefined) throw rafsFault("blob-digester", "a blob names an unknown digester");
  const tocSize = image.readUInt32LE(at + 104);
  return {
    id: image.toString("latin1", at, at + 64),
    index: image.readUInt32LE(at + 64),
    chunkSize: image.readUInt32LE(at + 68),
    chunkCount: image.readUInt32LE(at + 72),
    compressor,
    digester,
    features: image.readUInt32LE(at + 84),
    compressedSize: readU64(image, at + 88),
    uncompressedSize: readU64(image, at + 96),
    chunkTable: {
      compressor: tableCompressor,
      offset: readU64(image, at + 112),
      compressedSize: readU64(image, at + 120),
      uncompressedSize: readU64(image, at + 128),
    },
    toc:
      tocSize === 0
        ? undefined
        : { size: tocSize, digest: Buffer.from(image.subarray(at + 136, at + 168)) },
    cipher: image.readUInt32LE(at + 216),
  };
}
