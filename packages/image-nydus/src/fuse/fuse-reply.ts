import type { FileKind } from "../tree/inode.ts";
import type { FileStat } from "../rafs/readable-filesystem.ts";
import { sizeOf } from "./fuse-protocol.ts";

/** Seconds that the kernel may keep names and attributes: an image never changes. */
const cacheSeconds = 365 * 86_400;
const two32 = 2 ** 32;

const typeBits: Readonly<Record<FileKind, number>> = {
  fifo: 0o010000,
  "character-device": 0o020000,
  directory: 0o040000,
  "block-device": 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};

/** `st_mode` of a kind of file, without permissions. */
export function modeOfKind(kind: FileKind): number {
  return typeBits[kind];
}

/** Writes a whole number, which may be negative, in 64 bits; much quicker than through a bigint. */
export function writeInt64(buffer: Buffer, value: number, offset: number): void {
  const high = Math.floor(value / two32);
  buffer.writeUInt32LE(value - high * two32, offset);
  buffer.writeInt32LE(high, offset + 4);
}

/** Reads an unsigned number of 64 bits; `Infinity` where it would not be exact. */
export function readUint64(buffer: Buffer, offset: number): number {
  const value = buffer.readUInt32LE(offset) + buffer.readUInt32LE(offset + 4) * two32;
  return Number.isSafeInteger(value) ? value : Infinity;
}

/** Starts an answer: everything up to `length` becomes zero, and the header is written. */
export function beginReply(reply: Buffer, request: Buffer, length: number): void {
  reply.fill(0, 0, length);
  reply.writeUInt32LE(length, 0);
  // The request's number, as the bytes it came as.
  request.copy(reply, 8, 8, 16);
}

/** Header of an answer that says only whether it worked. Returns its length. */
export function writeStatus(reply: Buffer, request: Buffer, error: number): number {
  beginReply(reply, request, sizeOf.replyHeader);
  reply.writeInt32LE(-error, 4);
  return sizeOf.replyHeader;
}

/** Header for data that is sent beside it. */
export function dataHeader(unique: bigint, dataBytes: number): Buffer {
  const header = Buffer.alloc(sizeOf.replyHeader);
  header.writeUInt32LE(sizeOf.replyHeader + dataBytes, 0);
  header.writeBigUInt64LE(unique, 8);
  return header;
}

/** A whole answer that says only that it failed. */
export function errorReply(unique: bigint, error: number): Buffer {
  const reply = dataHeader(unique, 0);
  reply.writeInt32LE(-error, 4);
  return reply;
}

/** `fuse_entry_out`: a name was found. */
export function writeEntry(
  reply: Buffer,
  offset: number,
  entry: { readonly nodeId: number; readonly stat: FileStat },
): void {
  writeInt64(reply, entry.nodeId, offset);
  reply.writeUInt32LE(cacheSeconds, offset + 16);
  reply.writeUInt32LE(cacheSeconds, offset + 24);
  writeAttributes(reply, offset + 40, entry.stat);
}

/** `fuse_entry_out` of a name that does not exist, which the kernel remembers, too. */
export function writeNoEntry(reply: Buffer, offset: number): void {
  reply.writeUInt32LE(cacheSeconds, offset + 16);
}

/** `fuse_attr_out`. */
export function writeAttributesReply(reply: Buffer, offset: number, stat: FileStat): void {
  reply.writeUInt32LE(cacheSeconds, offset);
  writeAttributes(reply, offset + 16, stat);
}

/** `fuse_attr`. The bytes before must be zero. */
function writeAttributes(reply: Buffer, offset: number, stat: FileStat): void {
  const { seconds, nanoseconds } = stat.mtime;
  writeInt64(reply, stat.nid, offset);
  writeInt64(reply, stat.size, offset + 8);
  writeInt64(reply, Math.ceil(stat.size / 512), offset + 16);
  for (const [index, at] of [24, 32, 40].entries()) {
    writeInt64(reply, seconds, offset + at);
    reply.writeUInt32LE(nanoseconds, offset + 48 + 4 * index);
  }
  reply.writeUInt32LE(typeBits[stat.kind] | stat.mode, offset + 60);
  reply.writeUInt32LE(stat.nlink, offset + 64);
  reply.writeUInt32LE(stat.uid, offset + 68);
  reply.writeUInt32LE(stat.gid, offset + 72);
  reply.writeUInt32LE(deviceNumber(stat), offset + 76);
  reply.writeUInt32LE(4_096, offset + 80);
}

/** Major and minor in the 32 bits in which the kernel passes them. */
function deviceNumber({ device }: FileStat): number {
  if (device === undefined) return 0;
  const { major, minor } = device;
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
