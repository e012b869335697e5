import type { FileKind, FileTime } from "../tree/inode.ts";
import { erofsFault } from "./erofs-fault.ts";
import { kindOfMode, modeTypeBits } from "./file-type.ts";
import { readU64, writeU64 } from "./read-u64.ts";

/** Bytes of the inodes that are written. */
export const extendedInodeSize = 64;
const compactInodeSize = 32;

/** How an inode's bytes are stored: in blocks, in blocks with the tail behind the inode, or in chunks of devices. */
type DataLayout = "plain" | "inline" | "chunked";

const layoutNumbers = { plain: 0, inline: 2, chunked: 4 } as const;
const layoutNames = new Map<number, DataLayout>([
  [0, "plain"],
  [2, "inline"],
  [4, "chunked"],
]);

/** An inode as it stands in the metadata area. */
export interface InodeRecord {
  readonly layout: DataLayout;
  /** 4-byte units of inline xattrs, as the format counts them: 0 for none, else `(bytes - 12) / 4 + 1` */
  readonly xattrUnits: number;
  readonly kind: FileKind;
  /** Permission bits */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: FileTime;
  /** First data block, chunk format or device number, by kind and layout */
  readonly detail: number;
  /** 32-bit inode number, informational */
  readonly ino: number;
}

/** An inode that was read, with its place. */
export interface LocatedInode extends InodeRecord {
  /** Where the inode begins in the image */
  readonly offset: number;
  /** Bytes of the inode itself, before xattrs */
  readonly headSize: number;
  /** Bytes of its inline xattrs */
  readonly xattrSize: number;
}

/** Writes a 64-byte inode at `at`; the target must hold zeros there. */
export function encodeInode(target: Buffer, at: number, inode: InodeRecord): void {
  target.writeUInt16LE(1 | (layoutNumbers[inode.layout] << 1), at);
  target.writeUInt16LE(inode.xattrUnits, at + 2);
  target.writeUInt16LE(modeTypeBits(inode.kind) | inode.mode, at + 4);
  writeU64(target, inode.size, at + 8);
  target.writeUInt32LE(inode.detail, at + 16);
  target.writeUInt32LE(inode.ino, at + 20);
  target.writeUInt32LE(inode.uid, at + 24);
  target.writeUInt32LE(inode.gid, at + 28);
  target.writeBigInt64LE(BigInt(inode.mtime.seconds), at + 32);
  target.writeUInt32LE(inode.mtime.nanoseconds, at + 40);
  target.writeUInt32LE(inode.nlink, at + 44);
}

/**
 * Reads the inode at a byte offset, in its 32- or 64-byte form.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when it leaves the image or has a form that is not known
 */
export function decodeInode(image: Buffer, offset: number): LocatedInode {
  if (offset < 0 || offset + compactInodeSize > image.length) {
    throw erofsFault("inode-range", `an inode at byte ${offset} lies outside of the image`);
  }
  const format = image.readUInt16LE(offset);
  const layout = layoutNames.get((format >>> 1) & 7);
  if (format > 0xf || layout === undefined) {
    throw erofsFault(
      "inode-format",
      `the inode at byte ${offset} has the unknown format ${format}`,
    );
  }
  const headSize = format & 1 ? extendedInodeSize : compactInodeSize;
  const xattrUnits = image.readUInt16LE(offset + 2);
  const xattrSize = xattrUnits === 0 ? 0 : 12 + 4 * (xattrUnits - 1);
  if (offset + headSize + xattrSize > image.length) {
    throw erofsFault("inode-range", `the inode at byte ${offset} leaves the image`);
  }
  const fullMode = image.readUInt16LE(offset + 4);
  const common = {
    offset,
    headSize,
    xattrSize,
    layout,
    xattrUnits,
    kind: kindOfMode(fullMode),
    mode: fullMode & 0o7777,
    detail: image.readUInt32LE(offset + 16),
    ino: image.readUInt32LE(offset + 20),
  };
  if (headSize === extendedInodeSize) return { ...common, ...extendedFields(image, offset) };
  return {
    ...common,
    nlink: image.readUInt16LE(offset + 6),
    size: image.readUInt32LE(offset + 8),
    uid: image.readUInt16LE(offset + 24),
    gid: image.readUInt16LE(offset + 26),
    mtime: { seconds: 0, nanoseconds: 0 },
  };
}

function extendedFields(
  image: Buffer,
  offset: number,
): Pick<InodeRecord, "nlink" | "size" | "uid" | "gid" | "mtime"> {
  const seconds = Number(image.readBigInt64LE(offset + 32));
  const nanoseconds = image.readUInt32LE(offset + 40);
  if (!Number.isSafeInteger(seconds) || nanoseconds > 999_999_999) {
    throw erofsFault("inode-time", `the inode at byte ${offset} has an impossible time`);
  }
  return {
    nlink: image.readUInt32LE(offset + 44),
    size: readU64(image, offset + 8),
    uid: image.readUInt32LE(offset + 24),
    gid: image.readUInt32LE(offset + 28),
    mtime: { seconds, nanoseconds },
  };
}
