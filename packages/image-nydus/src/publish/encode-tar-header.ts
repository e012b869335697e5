import type { TarEntry, TarEntryKind } from "../tar/tar-entry.ts";
import type { ByteString } from "../tree/inode.ts";
import { encodePaxRecords, formatPaxTime, xattrRecords } from "./encode-pax-records.ts";

/** What the headers of an entry say. */
export type TarEntryFields = Omit<TarEntry, "content">;

/** Bytes that an archive is made of */
export const tarBlockSize = 512;

const maxNameBytes = 100;
const maxOwner = 0o7777777;
const maxSize = 8 ** 11 - 1;
const types: Readonly<Record<TarEntryKind, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  "character-device": "3",
  "block-device": "4",
  directory: "5",
  fifo: "6",
};

/**
 * The headers of an entry in the POSIX format: one block, and a PAX header in front for what does not fit in there. Names
 * are written as the bytes they are.
 */
export function encodeTarHeader(entry: TarEntryFields): Buffer {
  const { path, linkPath, uid, gid, size, mtime } = entry;
  const hasSeconds = mtime.nanoseconds === 0 && mtime.seconds >= 0 && mtime.seconds <= maxSize;
  const records: (readonly [ByteString, Buffer | ByteString])[] = [
    ...unless(path.length <= maxNameBytes, "path", path),
    ...unless(linkPath.length <= maxNameBytes, "linkpath", linkPath),
    ...unless(size <= maxSize, "size", String(size)),
    ...unless(uid <= maxOwner, "uid", String(uid)),
    ...unless(gid <= maxOwner, "gid", String(gid)),
    ...unless(hasSeconds, "mtime", formatPaxTime(mtime)),
    ...xattrRecords(entry.xattrs),
  ];
  const block = headerBlock(entry, types[entry.kind]);
  if (records.length === 0) return block;
  const body = encodePaxRecords(new Map(records));
  const extended = { ...entry, ...ofPaxHeader, size: body.length };
  return Buffer.concat([
    headerBlock(extended, "x"),
    body,
    Buffer.alloc(paddingOf(body.length)),
    block,
  ]);
}

/** Zeros that fill up the last block of so many bytes. */
export function paddingOf(size: number): number {
  return (tarBlockSize - (size % tarBlockSize)) % tarBlockSize;
}

/** The same for every entry, so that nothing but the image shows in the archive */
const ofPaxHeader = {
  path: "PaxHeaders/entry",
  linkPath: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  device: { major: 0, minor: 0 },
} as const;

function unless(fits: boolean, keyword: string, value: ByteString): (readonly [string, string])[] {
  return fits ? [] : [[keyword, value]];
}

function headerBlock(entry: Omit<TarEntryFields, "kind" | "xattrs">, type: string): Buffer {
  const { path, linkPath, mode, uid, gid, size, mtime, device } = entry;
  const block = Buffer.alloc(tarBlockSize);
  const octal = (value: number, at: number, digits: number): void => {
    // What does not fit stands in the PAX header.
    const fits = value >= 0 && value < 8 ** digits;
    block.write((fits ? value : 0).toString(8).padStart(digits, "0"), at, "latin1");
  };
  block.write(path, 0, maxNameBytes, "latin1");
  octal(mode, 100, 7);
  octal(uid, 108, 7);
  octal(gid, 116, 7);
  octal(size, 124, 11);
  octal(mtime.seconds, 136, 11);
  block.write(" ".repeat(8), 148, "latin1");
  block.write(type, 156, "latin1");
  block.write(linkPath, 157, maxNameBytes, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  octal(device.major, 329, 7);
  octal(device.minor, 337, 7);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}
