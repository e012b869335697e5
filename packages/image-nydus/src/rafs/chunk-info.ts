/** Where a chunk lies in a blob, uncompressed and as it is stored. */
export interface StoredChunk {
  /** Number of the chunk in its blob */
  readonly index: number;
  /** Offset in the blob's uncompressed space; a multiple of 4,096 */
  readonly offset: number;
  /** Uncompressed bytes */
  readonly size: number;
  /** Offset of its bytes in the blob file */
  readonly storedOffset: number;
  /** Bytes in the blob file */
  readonly storedSize: number;
  readonly compressed: boolean;
  /** CRC-32C of the uncompressed bytes, where the blob has it */
  readonly crc32c?: number | undefined;
}

/** Bytes of an entry of the chunk table of a blob, by version. */
export const chunkInfoSize = { v1: 16, v2: 24 } as const;

/** Version of the entries of a blob's chunk table. */
export type ChunkInfoVersion = keyof typeof chunkInfoSize;

/** Flags of a V2 entry */
const v2Flags = { compressed: 0x1, zran: 0x2, batch: 0x4, encrypted: 0x8, crc32c: 0x10 } as const;

/** Bytes a blob file has at most, so that an offset fits 40 bits. */
export const maxStoredSize: number = 2 ** 40;
/** Bytes of the uncompressed space of a blob at most. */
export const maxUncompressedSize: number = 2 ** 44;

/** Writes a V1 entry; `compressed` is not stored: it shows in the sizes. */
export function encodeChunkInfo(target: Buffer, at: number, chunk: StoredChunk): void {
  const size = chunk.size - 1;
  target.writeUInt32LE(((chunk.offset % 0x1_0000_0000) | ((size >>> 20) << 8)) >>> 0, at);
  const offsetHigh = Math.floor(chunk.offset / 0x1_0000_0000);
  target.writeUInt32LE(((size << 12) | offsetHigh) >>> 0, at + 4);
  const stored = chunk.storedSize - 1;
  target.writeUInt32LE(chunk.storedOffset % 0x1_0000_0000, at + 8);
  const storedHigh = Math.floor(chunk.storedOffset / 0x1_0000_0000);
  target.writeUInt32LE(((stored << 12) | ((stored >>> 20) << 8) | storedHigh) >>> 0, at + 12);
}

/** Reads the entry of a chunk. @returns `undefined` for a V2 entry of a kind that is stored in another way */
export function decodeChunkInfo(
  table: Buffer,
  index: number,
  version: ChunkInfoVersion,
): StoredChunk | undefined {
  return version === "v1" ? decodeV1(table, index) : decodeV2(table, index);
}

function decodeV1(table: Buffer, index: number): StoredChunk {
  const at = index * chunkInfoSize.v1;
  const [low, high, storedLow, storedHigh] = words(table, at);
  const size = ((high >>> 12) | (((low >>> 8) & 0xf) << 20)) + 1;
  const storedSize = ((storedHigh >>> 12) | (((storedHigh >>> 8) & 0xf) << 20)) + 1;
  return {
    index,
    size,
    offset: (high & 0xfff) * 0x1_0000_0000 + low - (low & 0xfff),
    storedSize,
    storedOffset: (storedHigh & 0xff) * 0x1_0000_0000 + storedLow,
    compressed: storedSize !== size,
  };
}

function decodeV2(table: Buffer, index: number): StoredChunk | undefined {
  const at = index * chunkInfoSize.v2;
  const [block, high, storedLow, storedHigh] = words(table, at);
  const flags = high >>> 24;
  if ((flags & ~(v2Flags.compressed | v2Flags.crc32c)) !== 0) return undefined;
  return {
    index,
    size: (high & 0xff_ffff) + 1,
    offset: block * 4096,
    storedSize: (storedHigh >>> 8) + 1,
    storedOffset: (storedHigh & 0xff) * 0x1_0000_0000 + storedLow,
    compressed: (flags & v2Flags.compressed) !== 0,
    crc32c: flags & v2Flags.crc32c ? table.readUInt32LE(at + 16) : undefined,
  };
}

function words(table: Buffer, at: number): readonly [number, number, number, number] {
  return [
    table.readUInt32LE(at),
    table.readUInt32LE(at + 4),
    table.readUInt32LE(at + 8),
    table.readUInt32LE(at + 12),
  ];
}
