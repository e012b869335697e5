import { readU64, writeU64 } from "../erofs/read-u64.ts";

/** Bytes of one entry of the chunk table. */
export const chunkEntrySize = 80;

const compressedFlag = 0x1;

/** A chunk as the chunk table of an image lists it. */
export interface ChunkEntry {
  /** 32 bytes, of the uncompressed and unpadded chunk */
  readonly digest: Buffer;
  readonly blobIndex: number;
  /** Number of the chunk in its blob */
  readonly index: number;
  readonly compressed: boolean;
  readonly storedSize: number;
  readonly storedOffset: number;
  readonly size: number;
  /** In the uncompressed space of the blob */
  readonly offset: number;
  /** Of the first file that uses it */
  readonly fileOffset: number;
}

/** Writes one entry; the target must hold zeros there. */
export function encodeChunkEntry(target: Buffer, at: number, entry: ChunkEntry): void {
  entry.digest.copy(target, at, 0, 32);
  target.writeUInt32LE(entry.blobIndex, at + 32);
  target.writeUInt32LE(entry.compressed ? compressedFlag : 0, at + 36);
  target.writeUInt32LE(entry.storedSize, at + 40);
  target.writeUInt32LE(entry.size, at + 44);
  writeU64(target, entry.storedOffset, at + 48);
  writeU64(target, entry.offset, at + 56);
  writeU64(target, entry.fileOffset, at + 64);
  target.writeUInt32LE(entry.index, at + 72);
}

/** Reads one entry. */
export function decodeChunkEntry(image: Buffer, at: number): ChunkEntry {
  return {
    digest: Buffer.from(image.subarray(at, at + 32)),
    blobIndex: image.readUInt32LE(at + 32),
    compressed: (image.readUInt32LE(at + 36) & compressedFlag) !== 0,
    storedSize: image.readUInt32LE(at + 40),
    size: image.readUInt32LE(at + 44),
    storedOffset: readU64(image, at + 48),
    offset: readU64(image, at + 56),
    fileOffset: readU64(image, at + 64),
    index: image.readUInt32LE(at + 72),
  };
}
