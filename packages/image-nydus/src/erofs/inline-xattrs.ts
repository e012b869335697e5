import { LongshoreError } from "@longshore/core/errors";
import { fromByteString, type ByteString } from "../tree/inode.ts";
import { alignUp } from "./align-up.ts";
import { erofsFault } from "./erofs-fault.ts";

const headerSize = 12;
const entryHeaderSize = 4;
/** Units of 4 bytes that an inode can count */
const maxUnits = 65_535;

const prefixes: readonly { index: number; prefix: string; whole: boolean }[] = [
  { index: 1, prefix: "user.", whole: false },
  { index: 2, prefix: "system.posix_acl_access", whole: true },
  { index: 3, prefix: "system.posix_acl_default", whole: true },
  { index: 4, prefix: "trusted.", whole: false },
  { index: 6, prefix: "security.", whole: false },
];

const none = Buffer.alloc(0);

/**
 * Whether an xattr has a name that the format can store: `user.`, `trusted.` or `security.` with something behind, or a
 * POSIX ACL. Linux itself can set no others on such a file system.
 */
export function canStoreXattr(name: ByteString): boolean {
  return splitName(name) !== undefined;
}

/**
 * The xattrs of an inode as its inline area; empty for none. Those that {@link canStoreXattr} denies are left out.
 *
 * @throws {LongshoreError} `LIMIT_EXCEEDED` when a name, a value or the whole is too long
 */
export function encodeXattrs(xattrs: ReadonlyMap<ByteString, Buffer>): Buffer {
  if (xattrs.size === 0) return none;
  const parts: Buffer[] = [];
  let size = headerSize;
  // The order of a map is the order in which somebody happened to set the xattrs; bytes must not depend on it.
  for (const name of [...xattrs.keys()].toSorted()) {
    const value = xattrs.get(name) ?? none;
    const split = splitName(name);
    if (split === undefined) continue;
    const part = encodeEntry(name, split, value);
    parts.push(part);
    size += part.length;
  }
  if (parts.length === 0) return none;
  if (xattrUnits(size) > maxUnits) {
    throw new LongshoreError(
      "LIMIT_EXCEEDED",
      `The xattrs of one file take ${size} bytes; an image holds at most ${headerSize + 4 * (maxUnits - 1)}`,
    );
  }
  return Buffer.concat([Buffer.alloc(headerSize), ...parts], size);
}

/** What an inode says of an inline area of that many bytes. */
export function xattrUnits(size: number): number {
  return size === 0 ? 0 : (size - headerSize) / 4 + 1;
}

/**
 * Reads an inline xattr area.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when an entry leaves the area, or uses what is not inline
 */
export function decodeXattrs(area: Buffer): ReadonlyMap<ByteString, Buffer> {
  const xattrs = new Map<ByteString, Buffer>();
  if (area.length === 0) return xattrs;
  if (area.readUInt8(4) !== 0) throw erofsFault("xattr-shared", "an inode refers to shared xattrs");
  let at = headerSize;
  while (at < area.length) {
    const nameSize = area.readUInt8(at);
    const prefix = prefixes.find(({ index }) => index === area.readUInt8(at + 1));
    const valueSize = area.readUInt16LE(at + 2);
    const valueAt = at + entryHeaderSize + nameSize;
    if (valueAt + valueSize > area.length) {
      throw erofsFault("xattr-area", "an xattr leaves the area of its inode");
    }
    if (prefix === undefined || prefix.whole !== (nameSize === 0)) {
      throw erofsFault("xattr-prefix", "an xattr has a name of no known namespace");
    }
    const name = prefix.prefix + area.toString("latin1", at + entryHeaderSize, valueAt);
    if (xattrs.has(name)) throw erofsFault("xattr-duplicate", "an inode has one xattr twice");
    xattrs.set(name, Buffer.from(area.subarray(valueAt, valueAt + valueSize)));
    at = alignUp(valueAt + valueSize, 4);
  }
  return xattrs;
}

interface SplitName {
  readonly index: number;
  readonly suffix: ByteString;
}

function splitName(name: ByteString): SplitName | undefined {
  for (const { index, prefix, whole } of prefixes) {
    if (whole ? name === prefix : name.startsWith(prefix) && name.length > prefix.length) {
      return { index, suffix: name.slice(prefix.length) };
    }
  }
  return undefined;
}

function encodeEntry(name: ByteString, { index, suffix }: SplitName, value: Buffer): Buffer {
  // The format would hold 255 bytes behind the namespace; Linux counts both.
  if (name.length > 255 || value.length > 65_535) {
    throw new LongshoreError(
      "LIMIT_EXCEEDED",
      `The xattr "${name.slice(0, 300)}" has a name of ${name.length} bytes and a value of ${value.length}; an image holds ` +
        "at most 255 and 65535",
    );
  }
  const used = entryHeaderSize + suffix.length + value.length;
  const entry = Buffer.alloc(alignUp(used, 4));
  entry.writeUInt8(suffix.length, 0);
  entry.writeUInt8(index, 1);
  entry.writeUInt16LE(value.length, 2);
  fromByteString(suffix).copy(entry, entryHeaderSize);
  value.copy(entry, entryHeaderSize + suffix.length);
  return entry;
}
