import type { DiskReader } from "./disk-reader.ts";
import { formatUuid } from "./guid.ts";

/** What a partition, or a whole disk, holds. */
export interface Filesystem {
  /** e.g. `"ext4"`, `"vfat"`, `"lvm2-member"`, `"luks"` */
  readonly type: string;
  readonly label?: string | undefined;
  readonly uuid?: string | undefined;
  /** Bytes, as its own superblock says */
  readonly size?: number | undefined;
  /** Version or variant, e.g. `"fat32"` or `"luks2"` */
  readonly version?: string | undefined;
}

/** Where btrfs, the one farthest in, has its superblock, and all of it */
const startBytes = 0x1_0000 + 4_096;

type Detector = (start: Buffer) => Filesystem | undefined;

/** Containers first: what they hold may begin where they do. Boot sectors last: others keep theirs in front. */
const detectors: readonly Detector[] = [
  luks,
  lvm2,
  ext,
  xfs,
  btrfs,
  squashfs,
  erofs,
  swap,
  iso9660,
  ntfs,
  vfat,
];

/** Finds out by magic numbers what is on a disk or partition; `undefined` when it is nothing known. */
export async function detectFilesystem(disk: DiskReader): Promise<Filesystem | undefined> {
  // Short disks are filled up with zeros, so that no detector has to look at the length.
  const start = Buffer.alloc(startBytes);
  (await disk.read(0, Math.min(startBytes, disk.size))).copy(start);
  for (const detect of detectors) {
    const found = detect(start);
    if (found !== undefined) return found;
  }
  return undefined;
}

function luks(start: Buffer): Filesystem | undefined {
  if (start.toString("latin1", 0, 6) !== "LUKS\xba\xbe") return undefined;
  const version = start.readUInt16BE(6);
  return {
    type: "luks",
    version: `luks${version}`,
    uuid: text(start, 168, 40),
    label: version === 2 ? text(start, 24, 48) : undefined,
  };
}

function lvm2(start: Buffer): Filesystem | undefined {
  for (const offset of [512, 0, 1_024, 1_536]) {
    const isLabel = start.toString("latin1", offset, offset + 8) === "LABELONE";
    if (!isLabel || start.toString("latin1", offset + 24, offset + 32) !== "LVM2 001") continue;
    const header = offset + start.readUInt32LE(offset + 20);
    if (header + 40 > start.length) return undefined;
    const id = start.toString("latin1", header, header + 32);
    // Written in groups of 6-4-4-4-4-4-6 characters.
    const uuid = /^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/.exec(id)?.slice(1).join("-");
    return { type: "lvm2-member", uuid, size: safe(start.readBigUInt64LE(header + 32)) };
  }
  return undefined;
}

function ext(start: Buffer): Filesystem | undefined {
  const block = start.subarray(1_024, 2_048);
  if (block.readUInt16LE(0x38) !== 0xef53) return undefined;
  const [compat, incompat, roCompat] = [0x5c, 0x60, 0x64].map((at) => block.readUInt32LE(at));
  // A journal device has no files.
  if (((incompat ?? 0) & 0x8) !== 0) return { type: "jbd", uuid: formatUuid(block, 0x68) };
  // What only ext4 has: extents, 64bit, flex_bg; huge_file, gdt_csum, dir_nlink, extra_isize, metadata_csum.
  const isExt4 = ((incompat ?? 0) & 0x2c0) !== 0 || ((roCompat ?? 0) & 0x478) !== 0;
  const hasJournal = ((compat ?? 0) & 0x4) !== 0;
  const is64Bit = ((incompat ?? 0) & 0x80) !== 0;
  const high = is64Bit ? BigInt(block.readUInt32LE(0x150)) << 32n : 0n;
  const blocks = BigInt(block.readUInt32LE(0x04)) + high;
  return {
    type: isExt4 ? "ext4" : hasJournal ? "ext3" : "ext2",
    label: text(block, 0x78, 16),
    uuid: formatUuid(block, 0x68),
    size: safe(blocks << BigInt(10 + Math.min(block.readUInt32LE(0x18), 6))),
  };
}

function xfs(start: Buffer): Filesystem | undefined {
  if (start.toString("latin1", 0, 4) !== "XFSB") return undefined;
  return {
    type: "xfs",
    label: text(start, 108, 12),
    uuid: formatUuid(start, 32),
    size: safe(start.readBigUInt64BE(8) * BigInt(start.readUInt32BE(4))),
  };
}

function btrfs(start: Buffer): Filesystem | undefined {
  const block = start.subarray(0x1_0000);
  if (block.toString("latin1", 0x40, 0x48) !== "_BHRfS_M") return undefined;
  return {
    type: "btrfs",
    label: text(block, 0x12b, 256),
    uuid: formatUuid(block, 0x20),
    size: safe(block.readBigUInt64LE(0x70)),
  };
}

function squashfs(start: Buffer): Filesystem | undefined {
  if (start.toString("latin1", 0, 4) !== "hsqs") return undefined;
  const version = `${start.readUInt16LE(28)}.${start.readUInt16LE(30)}`;
  return { type: "squashfs", version, size: safe(start.readBigUInt64LE(40)) };
}

function erofs(start: Buffer): Filesystem | undefined {
  const block = start.subarray(1_024);
  if (block.readUInt32LE(0) !== 0xe0f5_e1e2) return undefined;
  return {
    type: "erofs",
    label: text(block, 64, 16),
    uuid: formatUuid(block, 48),
    size: block.readUInt32LE(36) * 2 ** Math.min(block.readUInt8(12), 16),
  };
}

function swap(start: Buffer): Filesystem | undefined {
  // The magic stands at the end of the first page, whose size is the machine's.
  for (const page of [4_096, 8_192, 16_384, 65_536]) {
    if (start.toString("latin1", page - 10, page) !== "SWAPSPACE2") continue;
    return {
      type: "swap",
      label: text(start, 0x41c, 16),
      uuid: formatUuid(start, 0x40c),
      size: (start.readUInt32LE(0x404) + 1) * page,
    };
  }
  return undefined;
}

function iso9660(start: Buffer): Filesystem | undefined {
  const block = start.subarray(0x8000);
  if (block.toString("latin1", 1, 6) !== "CD001") return undefined;
  return {
    type: "iso9660",
    label: text(block, 40, 32),
    size: block.readUInt32LE(80) * block.readUInt16LE(128),
  };
}

function ntfs(start: Buffer): Filesystem | undefined {
  if (start.toString("latin1", 3, 11) !== "NTFS    ") return undefined;
  return {
    type: "ntfs",
    uuid: start.readBigUInt64LE(0x48).toString(16).padStart(16, "0").toUpperCase(),
    size: safe(start.readBigUInt64LE(0x28) * BigInt(start.readUInt16LE(11))),
  };
}

function vfat(start: Buffer): Filesystem | undefined {
  const is32 = start.toString("latin1", 82, 87) === "FAT32";
  const is16 = start.toString("latin1", 54, 58) === "FAT1";
  const sectorSize = start.readUInt16LE(11);
  const isSane =
    start.readUInt16LE(510) === 0xaa55 && [512, 1_024, 2_048, 4_096].includes(sectorSize);
  if (!isSane || (!is32 && !is16)) return undefined;
  const serial = start
    .readUInt32LE(is32 ? 67 : 39)
    .toString(16)
    .padStart(8, "0")
    .toUpperCase();
  const label = text(start, is32 ? 71 : 43, 11);
  return {
    type: "vfat",
    version: is32 ? "fat32" : start.toString("latin1", 54, 59).toLowerCase(),
    label: label === "NO NAME" ? undefined : label,
    uuid: `${serial.slice(0, 4)}-${serial.slice(4)}`,
    size: (start.readUInt16LE(19) || start.readUInt32LE(32)) * sectorSize,
  };
}

/** Text of a fixed field, without filling; absent when empty. */
function text(buffer: Buffer, offset: number, length: number): string | undefined {
  const value = buffer
    .toString("utf8", offset, offset + length)
    .replace(/\0.*$/s, "")
    .trimEnd();
  return value === "" ? undefined : value;
}

/** A size that a superblock claims; absent when no disk could have it. */
function safe(value: bigint): number | undefined {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}
