/** Bytes in front of the bits of a chunk map. */
export const chunkMapHeaderSize = 4096;

const magic = 0x424d_4150;
const version = 1;
const secondMagic = 0x434d_4150;
const allReady = 0x4d4d_4150;
/** Where in the header the mark stands that says that all chunks are ready. */
export const allReadyOffset = 12;

/** What a chunk map says. */
export interface ChunkMap {
  /** One bit for each chunk */
  readonly bits: Buffer;
  /** The mark for all chunks, which stands for every bit */
  readonly isAllReady: boolean;
}

/** Size of the chunk map file (`.chunk_map`, as nydusd has it) for a blob. */
export function chunkMapSize(chunkCount: number): number {
  return chunkMapHeaderSize + bitmapSize(chunkCount);
}

/** Bytes that hold one bit for each chunk. */
export function bitmapSize(chunkCount: number): number {
  return Math.ceil(chunkCount / 8);
}

/** The header of a chunk map in which no chunk is ready. */
export function encodeChunkMapHeader(): Buffer {
  const header = Buffer.alloc(chunkMapHeaderSize);
  header.writeUInt32LE(magic, 0);
  header.writeUInt32LE(version, 4);
  header.writeUInt32LE(secondMagic, 8);
  return header;
}

/** The mark for all chunks, or its absence, as it is stored at {@link allReadyOffset}. */
export function encodeAllReady(isAllReady: boolean): Buffer {
  const mark = Buffer.alloc(4);
  if (isAllReady) mark.writeUInt32LE(allReady);
  return mark;
}

/** Reads a chunk map file. @returns `undefined` when it is none, or one of a blob with another number of chunks */
export function decodeChunkMap(file: Buffer, chunkCount: number): ChunkMap | undefined {
  if (file.length !== chunkMapSize(chunkCount)) return undefined;
  const isMap =
    file.readUInt32LE(0) === magic &&
    file.readUInt32LE(4) === version &&
    file.readUInt32LE(8) === secondMagic;
  if (!isMap) return undefined;
  const bits = file.subarray(chunkMapHeaderSize);
  return { bits, isAllReady: file.readUInt32LE(allReadyOffset) === allReady };
}

/** Byte of the bitmap that holds the bit of a chunk. */
export function byteOf(index: number): number {
  return index >>> 3;
}

/** The bit of a chunk in its byte: the first chunk has the highest. */
export function maskOf(index: number): number {
  return 0x80 >>> (index & 7);
}

/** Whether the bit of a chunk is set. */
export function hasBit(bits: Buffer, index: number): boolean {
  return ((bits[byteOf(index)] ?? 0) & maskOf(index)) !== 0;
}

/** Sets or clears the bit of a chunk. */
export function setBit(bits: Buffer, index: number, value: boolean): void {
  const at = byteOf(index);
  const byte = bits[at] ?? 0;
  bits[at] = value ? byte | maskOf(index) : byte & ~maskOf(index);
}

/** Number of set bits among those of the first chunks. */
export function countBits(bits: Buffer, chunkCount: number): number {
  let count = 0;
  for (let index = 0; index < chunkCount; index += 1) if (hasBit(bits, index)) count += 1;
  return count;
}
