import type { ByteString, FileKind } from "../tree/inode.ts";
import { erofsFault } from "./erofs-fault.ts";
import { entryTypeByte, kindOfEntryType } from "./file-type.ts";
import { readU64, writeU64 } from "./read-u64.ts";
import { blockSize } from "./superblock.ts";

const entrySize = 12;

/** A name that is to be written, and where it leads. */
export interface DirectoryTarget {
  readonly name: ByteString;
  readonly nid: number;
  readonly kind: FileKind;
}

/** A name as it was read from a directory; `kind` is missing where the image leaves it open. */
export interface DirectoryName {
  readonly name: ByteString;
  readonly nid: number;
  readonly kind: FileKind | undefined;
}

/**
 * The bytes that a directory takes.
 *
 * @param names in byte order, with `.` and `..` in their places
 */
export function directorySize(names: Iterable<ByteString>): number {
  let size = 0;
  for (const name of names) {
    const need = entrySize + name.length;
    const room = blockSize - (size % blockSize);
    // A block that is exactly full begins a new one by itself.
    if (room < need) size += room;
    size += need;
  }
  return size;
}

/**
 * The blocks of a directory, one after the other; all but the last are full blocks.
 *
 * @param names in byte order, with `.` and `..` in their places
 */
export function* directoryBlocks(names: Iterable<DirectoryTarget>): Generator<Buffer, void> {
  let inBlock: DirectoryTarget[] = [];
  let used = 0;
  for (const target of names) {
    const need = entrySize + target.name.length;
    if (used + need > blockSize) {
      yield encodeBlock(inBlock, blockSize);
      inBlock = [];
      used = 0;
    }
    inBlock.push(target);
    used += need;
  }
  if (used > 0) yield encodeBlock(inBlock, used);
}

function encodeBlock(names: readonly DirectoryTarget[], size: number): Buffer {
  const block = Buffer.alloc(size);
  let nextName = names.length * entrySize;
  for (const [index, { name, nid, kind }] of names.entries()) {
    const at = index * entrySize;
    writeU64(block, nid, at);
    block.writeUInt16LE(nextName, at + 8);
    block.writeUInt8(entryTypeByte(kind), at + 10);
    nextName += block.write(name, nextName, "latin1");
  }
  return block;
}

/**
 * How many names a block of a directory has.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when its first name cannot lie where the block says
 */
export function countNames(block: Buffer): number {
  const namesAt = block.length < entrySize ? 0 : block.readUInt16LE(8);
  if (namesAt === 0 || namesAt % entrySize !== 0 || namesAt >= block.length) {
    throw erofsFault("directory-block", "a block of a directory has no valid list of names");
  }
  return namesAt / entrySize;
}

/**
 * One name of a block of a directory.
 *
 * @param count what {@link countNames} said
 */
export function nameAt(block: Buffer, index: number, count: number): DirectoryName {
  const at = index * entrySize;
  const start = block.readUInt16LE(at + 8);
  const end =
    index + 1 < count ? block.readUInt16LE(at + entrySize + 8) : endOfLastName(block, start);
  if (start < count * entrySize || end <= start || end > block.length || end - start > 255) {
    throw erofsFault(
      "directory-name",
      "a name in a directory lies outside of its block, is empty or too long",
    );
  }
  const name = block.toString("latin1", start, end);
  if (name.includes("/") || name.includes("\0")) {
    throw erofsFault("directory-name", "a name in a directory has a slash or a zero byte");
  }
  return { name, nid: readU64(block, at), kind: kindOfEntryType(block.readUInt8(at + 10)) };
}

function endOfLastName(block: Buffer, start: number): number {
  const zero = block.indexOf(0, start);
  return zero === -1 ? block.length : zero;
}
