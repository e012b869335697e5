import { readU64, writeU64 } from "../erofs/read-u64.ts";
import { compressorNumber, compressorOf, type Compressor } from "./algorithms.ts";
import { rafsFault } from "./rafs-fault.ts";

/** Bytes of the header behind the chunk table of a blob. */
export const blobMetaHeaderSize = 4096;

const magic = 0xb10b_b10b;

/** The header behind the chunk table of a blob. */
export interface BlobMetaHeader {
  readonly features: number;
  /** Of the table */
  readonly compressor: Compressor;
  readonly chunkCount: number;
  /** Of the table in the blob file */
  readonly offset: number;
  readonly compressedSize: number;
  readonly uncompressedSize: number;
}

/** The header as it is stored. */
export function encodeBlobMetaHeader(header: BlobMetaHeader): Buffer {
  const bytes = Buffer.alloc(blobMetaHeaderSize);
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt32LE(header.features >>> 0, 4);
  bytes.writeUInt32LE(compressorNumber(header.compressor), 8);
  bytes.writeUInt32LE(header.chunkCount, 12);
  writeU64(bytes, header.offset, 16);
  writeU64(bytes, header.compressedSize, 24);
  writeU64(bytes, header.uncompressedSize, 32);
  bytes.writeUInt32LE(magic, blobMetaHeaderSize - 4);
  return bytes;
}

/**
 * Reads a header of {@link blobMetaHeaderSize} bytes.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when it is none
 */
export function decodeBlobMetaHeader(bytes: Buffer): BlobMetaHeader {
  if (bytes.length !== blobMetaHeaderSize) {
    throw rafsFault("blob-meta-size", `the header of a chunk table has ${bytes.length} bytes`);
  }
  if (bytes.readUInt32LE(0) !== magic || bytes.readUInt32LE(blobMetaHeaderSize - 4) !== magic) {
    throw rafsFault("blob-meta-magic", "a chunk table has no header behind it");
  }
  const compressor = compressorOf(bytes.readUInt32LE(8));
  if (compressor === undefined) {
    throw rafsFault("blob-meta-header", "a chunk table has an unknown compressor");
  }
  return {
    features: bytes.readUInt32LE(4),
    compressor,
    chunkCount: bytes.readUInt32LE(12),
    offset: readU64(bytes, 16),
    compressedSize: readU64(bytes, 24),
    uncompressedSize: readU64(bytes, 32),
  };
}
