import { decodeDeviceSlot, deviceSlotSize, type DeviceSlot } from "../erofs/device-slot.ts";
import { decodeSuperblock, incompatFeatures, type Superblock } from "../erofs/superblock.ts";
import { isChunkSize } from "./algorithms.ts";
import { blobEntrySize, decodeBlobEntry, maxBlobs, type BlobEntry } from "./blob-table.ts";
import { checkBlobEntry } from "./check-blob-entry.ts";
import { chunkEntrySize } from "./chunk-table.ts";
import {
  decodeExtendedSuperblock,
  knownFlags,
  rafsCompatFeature,
  rafsDeviceTableSlot,
  rafsFlags,
  type ExtendedSuperblock,
} from "./extended-superblock.ts";
import { rafsFault, unsupportedRafs, type RafsRule } from "./rafs-fault.ts";

/** All of an image that is not inodes or chunks, checked. */
export interface RafsHeader {
  readonly superblock: Superblock;
  readonly extended: ExtendedSuperblock;
  readonly devices: readonly DeviceSlot[];
  readonly blobs: readonly BlobEntry[];
  /** Inodes that a reader should fetch first */
  readonly prefetchNids: readonly number[];
}

const block = 4096;
const maxImageSize = 2 ** 31;
/** Blocks that images of old builders claim although they have no devices */
const legacyBlocks = 4096;

/**
 * Reads and checks everything of a RAFS v6 bootstrap that is not inodes or chunks.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` with the broken rule in its details; `VALIDATION_ERROR` for a form
 * that is not supported
 */
export function readRafsHeader(image: Buffer): RafsHeader {
  const superblock = decodeSuperblock(image);
  checkSuperblock(superblock, image.length);
  const extended = decodeExtendedSuperblock(image);
  checkExtended(extended, superblock, image.length);
  const devices = Array.from({ length: superblock.extraDevices }, (_, slot) =>
    decodeDeviceSlot(image, (rafsDeviceTableSlot + slot) * deviceSlotSize),
  );
  const blobs = Array.from({ length: extended.blobTableSize / blobEntrySize }, (_, index) => {
    const entry = decodeBlobEntry(image, extended.blobTableOffset + index * blobEntrySize);
    checkBlobEntry(entry, index, extended.chunkSize);
    return entry;
  });
  checkDevices(devices, blobs);
  return { superblock, extended, devices, blobs, prefetchNids: prefetchNids(image, extended) };
}

/** As much of a bootstrap as {@link readDeviceIds} looks at */
export const deviceTableEnd: number = (rafsDeviceTableSlot + maxBlobs) * deviceSlotSize;

/**
 * The ids of an image's blobs in the order of its devices, out of the beginning of its bootstrap.
 *
 * @param size bytes of the whole bootstrap
 * @throws {LongshoreError} as {@link readRafsHeader}, of what it looks at
 */
export function readDeviceIds(head: Buffer, size: number): readonly string[] {
  const superblock = decodeSuperblock(head);
  checkSuperblock(superblock, size);
  return Array.from({ length: superblock.extraDevices }, (_, slot) => {
    const { tag } = decodeDeviceSlot(head, (rafsDeviceTableSlot + slot) * deviceSlotSize);
    demand(/^[\da-f]{64}$/u.test(tag), "device-id", `device ${slot} is not named by a sha256`);
    return tag;
  });
}

function demand(holds: boolean, rule: RafsRule, message: string): void {
  if (!holds) throw rafsFault(rule, message);
}

function checkSuperblock(superblock: Superblock, size: number): void {
  demand(
    (superblock.featureCompat & rafsCompatFeature) !== 0,
    "feature-compat",
    "it is an EROFS without the mark of RAFS v6",
  );
  if (superblock.blockBits === 9) {
    throw unsupportedRafs("over tar files (tarfs)", "convert the original image instead");
  }
  demand(
    superblock.blockBits === 12,
    "block-size",
    `its blocks have 2^${superblock.blockBits} bytes`,
  );
  demand(size >= block && size <= maxImageSize, "image-size", `it has ${size} bytes`);
  demand(size % block === 0, "image-alignment", `its ${size} bytes are no whole blocks`);
  demand(superblock.checksum === 0, "superblock-checksum", "it has a superblock checksum");
  demand(superblock.extensionSlots === 0, "superblock-slots", "its superblock is extended");
  demand(superblock.inodeCount > 0, "inode-count", "it has no inodes");
  demand(superblock.compression === 0, "compression-field", "it names compression algorithms");
  demand(superblock.xattrBlock === 0, "shared-xattrs", "it has shared xattrs");
  const { extraDevices, blocks } = superblock;
  demand(
    extraDevices > 0 || blocks === 0 || blocks === legacyBlocks,
    "blocks-without-devices",
    `it counts ${blocks} blocks and has no devices`,
  );
  demand(
    superblock.deviceTableSlot === rafsDeviceTableSlot,
    "device-table-slot",
    `its device table is in slot ${superblock.deviceTableSlot}`,
  );
  demand(extraDevices <= maxBlobs, "device-count", `it has ${extraDevices} devices`);
  demand(
    (rafsDeviceTableSlot + extraDevices) * deviceSlotSize <= size,
    "device-table-range",
    "its device table leaves the image",
  );
  demand(
    superblock.featureIncompat === (incompatFeatures.chunkedFiles | incompatFeatures.deviceTable),
    "feature-incompat",
    `it has the incompatible features 0x${superblock.featureIncompat.toString(16)}`,
  );
  demand(
    superblock.metaBlock * block < size,
    "meta-block",
    "its metadata lies outside of the image",
  );
  demand(superblock.rootNid > 0, "root-nid", "its root has the inode number 0");
}

function checkExtended(extended: ExtendedSuperblock, superblock: Superblock, size: number): void {
  const { flags } = extended;
  demand(
    flags <= 0xffff_ffff && (flags & ~knownFlags) === 0,
    "flags",
    `it has the unknown flags 0x${flags.toString(16)}`,
  );
  if (flags & rafsFlags.tarfs) {
    throw unsupportedRafs("over tar files (tarfs)", "convert the original image instead");
  }
  if (flags & rafsFlags.encrypted) {
    throw unsupportedRafs("with encryption", "convert the original image instead");
  }
  const { none, lz4, gzip, zstd, blake3, sha256 } = rafsFlags;
  demand(
    countBits(flags & (none | lz4 | gzip | zstd)) === 1,
    "flags-compressor",
    "it names no one compressor",
  );
  demand(countBits(flags & (blake3 | sha256)) === 1, "flags-digester", "it names no one digester");
  demand(isChunkSize(extended.chunkSize), "chunk-size", `its chunk size is ${extended.chunkSize}`);
  checkTables(extended, (rafsDeviceTableSlot + superblock.extraDevices) * deviceSlotSize, size);
}

interface Span {
  readonly offset: number;
  readonly size: number;
}

function checkTables(extended: ExtendedSuperblock, devicesEnd: number, size: number): void {
  const blobs: Span = { offset: extended.blobTableOffset, size: extended.blobTableSize };
  const chunks: Span = { offset: extended.chunkTableOffset, size: extended.chunkTableSize };
  const prefetch: Span = { offset: extended.prefetchTableOffset, size: extended.prefetchTableSize };
  const inside = ({ offset, size: length }: Span): boolean =>
    offset >= block && offset >= devicesEnd && offset + length <= size;
  demand(
    inside(blobs) && blobs.offset % block === 0,
    "blob-table-range",
    "its blob table is misplaced",
  );
  demand(
    blobs.size % blobEntrySize === 0,
    "blob-table-size",
    `its blob table has ${blobs.size} bytes`,
  );
  if (chunks.size > 0) {
    demand(
      inside(chunks) && chunks.offset % block === 0,
      "chunk-table-range",
      "its chunk table is misplaced",
    );
    demand(
      chunks.size % chunkEntrySize === 0,
      "chunk-table-size",
      `its chunk table has ${chunks.size} bytes`,
    );
  }
  // Old builders leave a size without an offset in an empty image.
  const hasPrefetch = prefetch.size > 0 && prefetch.offset !== 0;
  if (hasPrefetch) {
    demand(inside(prefetch), "prefetch-table-range", "its prefetch table is misplaced");
    demand(
      prefetch.size % 4 === 0,
      "prefetch-table-size",
      `its prefetch table has ${prefetch.size} bytes`,
    );
  }
  const tables = [blobs, chunks, ...(hasPrefetch ? [prefetch] : [])];
  for (const [position, table] of tables.entries()) {
    const clash = tables.slice(position + 1).some((other) => overlap(table, other));
    demand(!clash, "table-overlap", "two of its tables overlap");
  }
}

function overlap(one: Span, other: Span): boolean {
  return one.offset < other.offset + other.size && other.offset < one.offset + one.size;
}

function checkDevices(devices: readonly DeviceSlot[], blobs: readonly BlobEntry[]): void {
  demand(
    devices.length === blobs.length,
    "device-count",
    `it has ${devices.length} devices and ${blobs.length} blobs`,
  );
  for (const [slot, device] of devices.entries()) {
    const blob = blobs[slot];
    demand(device.tag === blob?.id, "device-id", `device ${slot} is not named as its blob`);
    demand(device.blocks > 0, "device-blocks", `device ${slot} has no blocks`);
    demand(
      device.blocks * block >= (blob?.uncompressedSize ?? 0),
      "device-blocks",
      `device ${slot} is shorter than its blob`,
    );
  }
}

function prefetchNids(image: Buffer, extended: ExtendedSuperblock): readonly number[] {
  if (extended.prefetchTableOffset === 0) return [];
  const nids: number[] = [];
  for (let at = 0; at < extended.prefetchTableSize; at += 4) {
    const nid = image.readUInt32LE(extended.prefetchTableOffset + at);
    // The rest of the table is unused.
    if (nid === 0) break;
    nids.push(nid);
  }
  return nids;
}

function countBits(value: number): number {
  return value.toString(2).replaceAll("0", "").length;
}
