import type { Transform } from "node:stream";
import { constants, createInflateRaw, createZstdDecompress } from "node:zlib";
import { diskError } from "./disk-error.ts";
import { checkRange, type DiskReader } from "./disk-reader.ts";
import type { Qcow2Header } from "./qcow2-header.ts";

const offsetMask = 0x00ff_ffff_ffff_fe00n;
const compressedFlag = 1n << 62n;
const zeroFlag = 1n;
const maxCachedTables = 16;

/**
 * The disk inside a qcow2 file: two levels of tables lead from a place on the disk to a cluster of the file. A cluster
 * that was never written is the backing disk's, or zeros.
 */
export async function qcow2Disk(
  file: DiskReader,
  header: Qcow2Header,
  backing?: DiskReader,
): Promise<DiskReader> {
  const { clusterBits, virtualSize, l1Entries, l1Offset, compression } = header;
  const clusterSize = 2 ** clusterBits;
  const l2Entries = clusterSize / 8;
  if (l1Entries * l2Entries * clusterSize < virtualSize) {
    throw diskError("The image's tables do not cover its disk.");
  }
  const l1 = await file.read(l1Offset, l1Entries * 8);
  const tables = new Map<number, Buffer>();

  const readTable = async (offset: number): Promise<Buffer> => {
    const cached = tables.get(offset);
    if (cached !== undefined) return cached;
    const table = await file.read(offset, clusterSize);
    const [oldest] = tables.keys();
    if (tables.size >= maxCachedTables && oldest !== undefined) tables.delete(oldest);
    tables.set(offset, table);
    return table;
  };

  const findEntry = async (cluster: number): Promise<bigint> => {
    const tableOffset = l1.readBigUInt64BE(Math.floor(cluster / l2Entries) * 8) & offsetMask;
    if (tableOffset === 0n) return 0n;
    const table = await readTable(Number(tableOffset));
    return table.readBigUInt64BE((cluster % l2Entries) * 8);
  };

  const readCompressed = async (entry: bigint): Promise<Buffer> => {
    // The upper bits count 512-byte sectors beyond the first one.
    const offsetBits = BigInt(62 - (clusterBits - 8));
    const offset = Number(entry & ((1n << offsetBits) - 1n));
    const sectors = Number((entry & (compressedFlag - 1n)) >> offsetBits) + 1;
    const length = Math.min(sectors * 512 - (offset % 512), file.size - offset);
    const packed = await file.read(offset, length);
    const unpack =
      compression === "zstd"
        ? createZstdDecompress()
        : createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH });
    try {
      return await firstBytes(unpack, packed, clusterSize);
    } catch (error) {
      throw diskError(`The compressed cluster at byte ${offset} is broken.`, error);
    }
  };

  const readBacking = async (offset: number, length: number): Promise<Buffer> => {
    const there = Math.max(0, Math.min(length, (backing?.size ?? 0) - offset));
    const result = Buffer.alloc(length);
    if (backing !== undefined && there > 0) (await backing.read(offset, there)).copy(result);
    return result;
  };

  /** A range within one cluster. */
  const readPart = async (offset: number, length: number): Promise<Buffer> => {
    const within = offset % clusterSize;
    const entry = await findEntry(Math.floor(offset / clusterSize));
    if ((entry & compressedFlag) !== 0n) {
      const cluster = await readCompressed(entry);
      if (cluster.length < within + length) throw diskError("A compressed cluster is too short.");
      return cluster.subarray(within, within + length);
    }
    if ((entry & zeroFlag) !== 0n) return Buffer.alloc(length);
    const start = Number(entry & offsetMask);
    if (start === 0) return readBacking(offset, length);
    // The file may end in the middle of its last cluster: the rest reads as zeros.
    const result = Buffer.alloc(length);
    const there = Math.max(0, Math.min(length, file.size - start - within));
    (await file.read(Math.min(start + within, file.size), there)).copy(result);
    return result;
  };

  return {
    size: virtualSize,
    async read(offset, length) {
      checkRange(offset, length, virtualSize);
      const parts: Buffer[] = [];
      for (let done = 0; done < length;) {
        const step = Math.min(length - done, clusterSize - ((offset + done) % clusterSize));
        parts.push(await readPart(offset + done, step));
        done += step;
      }
      return Buffer.concat(parts);
    },
  };
}

/** Unpacks until there is enough: what follows a cluster in its last sector belongs to another one. */
async function firstBytes(unpack: Transform, packed: Buffer, length: number): Promise<Buffer> {
  const result = Buffer.alloc(length);
  let filled = 0;
  unpack.end(packed);
  for await (const chunk of unpack as AsyncIterable<Buffer>) {
    filled += chunk.copy(result, filled);
    if (filled === length) break;
  }
  return result.subarray(0, filled);
}
