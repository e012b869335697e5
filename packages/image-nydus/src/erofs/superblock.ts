import { crc32c } from "./crc32c.ts";
import { erofsFault } from "./erofs-fault.ts";
import { readU64, writeU64 } from "./read-u64.ts";

/** Bytes of a file-system block. */
export const blockSize = 4096;
/** Where the superblock begins in the image. */
export const superblockOffset = 1024;
/** Bytes of the superblock. */
export const superblockSize = 128;
/** Inodes lie on multiples of this many bytes; their numbers count in it. */
export const inodeSlotSize = 32;

const magic = 0xe0f5_e1e2;

/** Bits of `featureCompat`: a reader may ignore them. */
export const compatFeatures = { checksum: 0x1 } as const;

/** Bits of `featureIncompat`: a reader that does not know one must refuse. */
export const incompatFeatures = { chunkedFiles: 0x4, deviceTable: 0x8 } as const;

/** The fields of an EROFS superblock that are not always zero. */
export interface Superblock {
  /** CRC-32C of the first block; 0 without the checksum feature */
  readonly checksum: number;
  readonly featureCompat: number;
  /** log2 of the block size */
  readonly blockBits: number;
  /** 16-byte slots that extend the superblock */
  readonly extensionSlots: number;
  readonly rootNid: number;
  readonly inodeCount: number;
  /** Blocks of all devices */
  readonly blocks: number;
  /** Block at which inode number 0 would lie */
  readonly metaBlock: number;
  /** Block of the shared xattrs */
  readonly xattrBlock: number;
  readonly featureIncompat: number;
  /** Compression algorithms, or an LZ4 distance */
  readonly compression: number;
  /** Devices besides the image itself */
  readonly extraDevices: number;
  /** Where the device table lies, in units of 128 bytes */
  readonly deviceTableSlot: number;
}

/** Writes a superblock into the first block of an image; bytes it does not name are left alone. */
export function encodeSuperblock(image: Buffer, superblock: Superblock): void {
  const at = superblockOffset;
  image.writeUInt32LE(magic, at);
  image.writeUInt32LE(superblock.checksum, at + 4);
  image.writeUInt32LE(superblock.featureCompat, at + 8);
  image.writeUInt8(superblock.blockBits, at + 12);
  image.writeUInt8(superblock.extensionSlots, at + 13);
  image.writeUInt16LE(superblock.rootNid, at + 14);
  writeU64(image, superblock.inodeCount, at + 16);
  image.writeUInt32LE(superblock.blocks, at + 36);
  image.writeUInt32LE(superblock.metaBlock, at + 40);
  image.writeUInt32LE(superblock.xattrBlock, at + 44);
  image.writeUInt32LE(superblock.featureIncompat, at + 80);
  image.writeUInt16LE(superblock.compression, at + 84);
  image.writeUInt16LE(superblock.extraDevices, at + 86);
  image.writeUInt16LE(superblock.deviceTableSlot, at + 88);
}

/**
 * Reads the superblock of an EROFS image.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when the image is too short or no EROFS
 */
export function decodeSuperblock(image: Buffer): Superblock {
  if (image.length < superblockOffset + superblockSize) {
    throw erofsFault("size", `it has ${image.length} bytes, which is too short for a superblock`);
  }
  const at = superblockOffset;
  if (image.readUInt32LE(at) !== magic) {
    throw erofsFault("superblock-magic", "it does not begin with an EROFS superblock");
  }
  return {
    checksum: image.readUInt32LE(at + 4),
    featureCompat: image.readUInt32LE(at + 8),
    blockBits: image.readUInt8(at + 12),
    extensionSlots: image.readUInt8(at + 13),
    rootNid: image.readUInt16LE(at + 14),
    inodeCount: readU64(image, at + 16),
    blocks: image.readUInt32LE(at + 36),
    metaBlock: image.readUInt32LE(at + 40),
    xattrBlock: image.readUInt32LE(at + 44),
    featureIncompat: image.readUInt32LE(at + 80),
    compression: image.readUInt16LE(at + 84),
    extraDevices: image.readUInt16LE(at + 86),
    deviceTableSlot: image.readUInt16LE(at + 88),
  };
}

/** What the checksum field of an image holds when its feature is on: computed with the field taken as zero. */
export function superblockChecksum(image: Buffer): number {
  const covered = Buffer.from(image.subarray(superblockOffset, blockSize));
  covered.writeUInt32LE(0, 4);
  return crc32c(covered);
}
