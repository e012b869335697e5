import { superblockOffset, superblockSize } from "../erofs/superblock.ts";
import { readU64, writeU64 } from "../erofs/read-u64.ts";
import type { Compressor, Digester } from "./algorithms.ts";

/** The bit of the EROFS superblock that marks an image as RAFS v6. */
export const rafsCompatFeature = 0x4000_0000;
/** Slot of the device table that RAFS prescribes, in units of 128 bytes. */
export const rafsDeviceTableSlot = 11;
/** Where the extended superblock lies. */
const extendedSuperblockOffset: number = superblockOffset + superblockSize;

/** Bits of the flags of an image. */
export const rafsFlags = {
  none: 0x1,
  lz4: 0x2,
  blake3: 0x4,
  sha256: 0x8,
  explicitOwner: 0x10,
  xattrs: 0x20,
  gzip: 0x40,
  zstd: 0x80,
  inlineDigests: 0x100,
  tarfs: 0x200,
  unencrypted: 0x0100_0000,
  encrypted: 0x0200_0000,
} as const;

/** Every bit that may stand in the flags; the last six are reserved as compatible. */
export const knownFlags: number =
  Object.values(rafsFlags).reduce<number>((all, flag) => all + flag, 0) + 0xfc00_0000;

/** What RAFS adds to the superblock of EROFS. */
export interface ExtendedSuperblock {
  /** {@link rafsFlags} */
  readonly flags: number;
  readonly blobTableOffset: number;
  readonly blobTableSize: number;
  readonly chunkSize: number;
  readonly chunkTableOffset: number;
  readonly chunkTableSize: number;
  readonly prefetchTableOffset: number;
  readonly prefetchTableSize: number;
}

/** The flags of an image whose blobs are stored in one way. */
export function flagsFor(compressor: Compressor, digester: Digester): number {
  const { explicitOwner, xattrs, unencrypted } = rafsFlags;
  return unencrypted | explicitOwner | xattrs | rafsFlags[compressor] | rafsFlags[digester];
}

/** Writes the extended superblock into the first block of an image. */
export function encodeExtendedSuperblock(image: Buffer, extended: ExtendedSuperblock): void {
  const at = extendedSuperblockOffset;
  writeU64(image, extended.flags, at);
  writeU64(image, extended.blobTableOffset, at + 8);
  image.writeUInt32LE(extended.blobTableSize, at + 16);
  image.writeUInt32LE(extended.chunkSize, at + 20);
  writeU64(image, extended.chunkTableOffset, at + 24);
  writeU64(image, extended.chunkTableSize, at + 32);
  writeU64(image, extended.prefetchTableOffset, at + 40);
  image.writeUInt32LE(extended.prefetchTableSize, at + 48);
}

/** Reads the extended superblock; the image has at least one block. */
export function decodeExtendedSuperblock(image: Buffer): ExtendedSuperblock {
  const at = extendedSuperblockOffset;
  return {
    flags: readU64(image, at),
    blobTableOffset: readU64(image, at + 8),
    blobTableSize: image.readUInt32LE(at + 16),
    chunkSize: image.readUInt32LE(at + 20),
    chunkTableOffset: readU64(image, at + 24),
    chunkTableSize: readU64(image, at + 32),
    prefetchTableOffset: readU64(image, at + 40),
    prefetchTableSize: image.readUInt32LE(at + 48),
  };
}
