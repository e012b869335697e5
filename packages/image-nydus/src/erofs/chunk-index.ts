import { erofsFault } from "./erofs-fault.ts";

/** Bytes of one entry of a file's chunk index. */
export const chunkIndexSize = 8;

const indexesFlag = 0x20;
const sizeMask = 0x1f;
const blockBits = 12;

/** One entry of a file's chunk index: where a chunk begins on which device. */
export interface ChunkIndexEntry {
  /** Upper bits of the address in newer images; a kernel ignores them without the feature bit */
  readonly high: number;
  /** 0 for the image itself, n for slot n - 1 of the device table */
  readonly device: number;
  readonly block: number;
}

/** What an inode says of chunks of a size. @param chunkSize a power of two from 4,096 on */
export function chunkFormat(chunkSize: number): number {
  return (Math.log2(chunkSize) - blockBits) | indexesFlag;
}

/**
 * The chunk size an inode's chunk format means.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` for a format without device numbers or with unknown bits
 */
export function chunkSizeOf(format: number): number {
  if ((format & ~sizeMask) !== indexesFlag) {
    throw erofsFault("chunk-format", `a file has the chunk format 0x${format.toString(16)}`);
  }
  return 2 ** (blockBits + (format & sizeMask));
}

/** Writes one entry. */
export function encodeChunkIndex(target: Buffer, at: number, entry: ChunkIndexEntry): void {
  target.writeUInt16LE(entry.high, at);
  target.writeUInt16LE(entry.device, at + 2);
  target.writeUInt32LE(entry.block, at + 4);
}

/** Reads one entry. */
export function decodeChunkIndex(bytes: Buffer, at: number): ChunkIndexEntry {
  return {
    high: bytes.readUInt16LE(at),
    device: bytes.readUInt16LE(at + 2),
    block: bytes.readUInt32LE(at + 4),
  };
}
