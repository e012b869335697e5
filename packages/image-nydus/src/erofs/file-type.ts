import type { DeviceNumber, FileKind } from "../tree/inode.ts";
import { erofsFault } from "./erofs-fault.ts";

/** Type bits of a mode, and the type byte of a directory entry. */
const types: readonly { kind: FileKind; mode: number; entry: number }[] = [
  { kind: "file", mode: 0o100_000, entry: 1 },
  { kind: "directory", mode: 0o040_000, entry: 2 },
  { kind: "character-device", mode: 0o020_000, entry: 3 },
  { kind: "block-device", mode: 0o060_000, entry: 4 },
  { kind: "fifo", mode: 0o010_000, entry: 5 },
  { kind: "socket", mode: 0o140_000, entry: 6 },
  { kind: "symlink", mode: 0o120_000, entry: 7 },
];

const byKind = new Map(types.map((type) => [type.kind, type]));
const byMode = new Map(types.map((type) => [type.mode, type.kind]));
const byEntry = new Map(types.map((type) => [type.entry, type.kind]));

/** The type bits (`S_IFMT`) of a kind of file. */
export function modeTypeBits(kind: FileKind): number {
  return byKind.get(kind)?.mode ?? 0;
}

/** The kind in a full mode. @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` for no known type */
export function kindOfMode(mode: number): FileKind {
  const kind = byMode.get(mode & 0o170_000);
  if (kind === undefined) {
    throw erofsFault(
      "inode-type",
      `an inode has the mode 0o${mode.toString(8)}, which is no file type`,
    );
  }
  return kind;
}

/** The type byte of a directory entry for a kind of file. */
export function entryTypeByte(kind: FileKind): number {
  return byKind.get(kind)?.entry ?? 0;
}

/** The kind a directory entry's type byte names; `undefined` for 0, "unknown", which the format allows. */
export function kindOfEntryType(byte: number): FileKind | undefined {
  const kind = byEntry.get(byte);
  if (kind === undefined && byte !== 0) {
    throw erofsFault("directory-entry-type", `a directory entry has the unknown type ${byte}`);
  }
  return kind;
}

/** A device number as 32 bits in the kernel's layout: 12 bits of major, 20 bits of minor. */
export function encodeDevice({ major, minor }: DeviceNumber): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** The reverse of {@link encodeDevice}. */
export function decodeDevice(value: number): DeviceNumber {
  return { major: (value >>> 8) & 0xfff, minor: (value & 0xff) | ((value >>> 12) & 0xf_ff00) };
}
