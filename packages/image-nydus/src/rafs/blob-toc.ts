import { createHash } from "node:crypto";
import { readU64, writeU64 } from "../erofs/read-u64.ts";
import type { Compressor } from "./algorithms.ts";
import { rafsFault } from "./rafs-fault.ts";

/** Bytes of one entry of the list of sections. */
const tocEntrySize = 128;
const tarHeaderSize = 512;
/** More than any builder writes; keeps a hostile header from making much work */
const maxEntries = 64;

/** Names of the sections of a blob. */
type TocSection = "image.blob" | "blob.meta" | "blob.meta.header" | "blob.digest" | "image.boot";

/** A section of a blob, as the list at its end describes it. */
export interface TocEntry {
  /** One of {@link TocSection}, or what a later version adds */
  readonly name: TocSection | (string & {});
  readonly compressor: Compressor;
  /** sha256 of the uncompressed section: 32 bytes */
  readonly digest: Buffer;
  /** In the blob; blobs of old builders have a wrong one for `image.blob` */
  readonly offset: number;
  readonly compressedSize: number;
  readonly uncompressedSize: number;
}

/** The list of sections of a blob. */
export interface BlobToc {
  readonly entries: readonly TocEntry[];
  /** Bytes of the list with its tar header */
  readonly size: number;
  /** sha256 of those bytes, as the blob table has it */
  readonly digest: Buffer;
}

const tocName = "rafs.blob.toc";
const flags = { none: 1, zstd: 2, lz4: 4 } as const;

/**
 * A tar header as it stands behind a section of a blob.
 *
 * @param name up to 100 ASCII characters
 * @param size bytes of the section; up to 2^53
 */
export function sectionHeader(name: string, size: number): Buffer {
  const header = Buffer.alloc(tarHeaderSize);
  header.write(name, 0, 100, "latin1");
  writeTarNumber(header, size, 124);
  header.write("        ", 148, "latin1");
  header.write("0", 156, "latin1");
  header.write("ustar  \0", 257, "latin1");
  header.write(`${checksum(header).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

/** The list of sections as it stands at the end of a blob, with its tar header. */
export function encodeToc(entries: readonly TocEntry[]): Buffer {
  const parts = entries.map((entry) => {
    const bytes = Buffer.alloc(tocEntrySize);
    bytes.writeUInt32LE(tocFlag(entry.compressor), 0);
    bytes.write(entry.name, 8, 16, "latin1");
    entry.digest.copy(bytes, 24, 0, 32);
    writeU64(bytes, entry.offset, 56);
    writeU64(bytes, entry.compressedSize, 64);
    writeU64(bytes, entry.uncompressedSize, 72);
    return bytes;
  });
  return Buffer.concat([...parts, sectionHeader(tocName, parts.length * tocEntrySize)]);
}

/**
 * Reads the list of sections from the last bytes of a blob; 16 KiB always hold it.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when the blob does not end with one
 */
export function readToc(tail: Buffer): BlobToc {
  const headerAt = tail.length - tarHeaderSize;
  if (headerAt < 0) throw rafsFault("toc", "a blob is too short for a list of sections");
  const header = tail.subarray(headerAt);
  if (!isTocHeader(header)) throw rafsFault("toc", "a blob does not end with a list of sections");
  const size = Number.parseInt(header.toString("latin1", 124, 135), 8);
  if (
    !(size > 0) ||
    size % tocEntrySize !== 0 ||
    size > maxEntries * tocEntrySize ||
    size > headerAt
  ) {
    throw rafsFault("toc", `the list of sections of a blob has ${size} bytes`);
  }
  const entries = Array.from({ length: size / tocEntrySize }, (_, index) =>
    decodeEntry(tail.subarray(headerAt - size + index * tocEntrySize)),
  );
  const digest = createHash("sha256")
    .update(tail.subarray(headerAt - size))
    .digest();
  return { entries, size: size + tarHeaderSize, digest };
}

function isTocHeader(header: Buffer): boolean {
  const name = header.toString("latin1", 0, 100);
  const stated = Number.parseInt(header.toString("latin1", 148, 156), 8);
  return name.startsWith(`${tocName}\0`) && stated === checksum(header);
}

function decodeEntry(bytes: Buffer): TocEntry {
  const flag = bytes.readUInt32LE(0) & 0xf;
  const compressor = flag === flags.none ? "none" : flag === flags.zstd ? "zstd" : "lz4";
  if (flag !== flags[compressor])
    throw rafsFault("toc", "a section of a blob has an unknown compressor");
  return {
    name: bytes.toString("latin1", 8, 24).replace(/\0.*$/su, ""),
    compressor,
    digest: Buffer.from(bytes.subarray(24, 56)),
    offset: readU64(bytes, 56),
    compressedSize: readU64(bytes, 64),
    uncompressedSize: readU64(bytes, 72),
  };
}

function tocFlag(compressor: Compressor): number {
  if (compressor === "gzip")
    throw rafsFault("toc", "a section of a blob cannot be compressed by gzip");
  return flags[compressor];
}

/** In octal; in GNU's binary form from 8 GiB on, where the digits end. */
function writeTarNumber(header: Buffer, value: number, at: number): void {
  const octal = value.toString(8);
  if (octal.length <= 11) {
    header.write(octal.padStart(11, "0"), at, "latin1");
    return;
  }
  header.writeUInt8(0x80, at);
  header.writeBigUInt64BE(BigInt(value), at + 4);
}

/** Sum of the header's bytes with its checksum field read as spaces. */
function checksum(header: Buffer): number {
  let sum = 8 * 0x20;
  for (const [index, byte] of header.entries()) if (index < 148 || index >= 156) sum += byte;
  return sum;
}
