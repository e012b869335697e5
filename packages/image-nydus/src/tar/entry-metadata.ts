import type { ByteString, DeviceNumber, FileTime } from "../tree/inode.ts";
import { checkXattrs, type PaxRecords } from "./pax-records.ts";
import type { TarEntryKind } from "./tar-entry.ts";
import type { TarFailure } from "./tar-error.ts";
import type { NumberField, TarHeader } from "./tar-header.ts";
import type { TarLimits } from "./tar-limits.ts";
import { parseDecimal } from "./tar-number.ts";

/** What stands in headers in front of the one of the entry. */
export interface TarExtensions {
  /** Of the entry and, under them, the global ones */
  readonly records: PaxRecords;
  /** From GNU's headers for long names, which win over all else */
  readonly longPath?: ByteString | undefined;
  readonly longLinkPath?: ByteString | undefined;
}

/** All that an entry's headers say of it, besides where holes are. */
export interface EntryMetadata {
  readonly path: ByteString;
  readonly kind: TarEntryKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: FileTime;
  readonly linkPath: ByteString;
  readonly device: DeviceNumber;
  readonly xattrs: ReadonlyMap<ByteString, Buffer>;
}

const kinds: Readonly<Record<string, TarEntryKind>> = {
  "\0": "file",
  "0": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character-device",
  "4": "block-device",
  "5": "directory",
  "6": "fifo",
  "7": "file",
  S: "file",
};

const noDevice: DeviceNumber = { major: 0, minor: 0 };

/** The path of an entry, which errors name. */
export function entryPath(header: TarHeader, { records, longPath }: TarExtensions): ByteString {
  return (
    (longPath || undefined) ??
    textOf(records, "GNU.sparse.name") ??
    textOf(records, "path") ??
    header.path
  );
}

/** What an entry is; `undefined` for things that are no files of a tree, e.g. volume labels. */
export function entryKind(header: TarHeader, path: ByteString): TarEntryKind | undefined {
  // The oldest archives mark directories by their names alone.
  if (header.type === "\0" && path.endsWith("/")) return "directory";
  return kinds[header.type];
}

/** Bytes that an entry has in the archive. Links, directories and devices have none, whatever their headers say. */
export function storedSize(
  header: TarHeader,
  records: PaxRecords,
  { kind, failure }: { readonly kind: TarEntryKind | undefined; readonly failure: TarFailure },
): number {
  if (kind !== undefined && kind !== "file") return 0;
  const size = numberOf(header, records, "size");
  if (size === undefined || size < 0) throw failure("its size is not a number of bytes");
  return size;
}

/** Reads the headers of an entry that is a file of a tree. */
export function entryMetadata(
  header: TarHeader,
  extensions: TarExtensions,
  { kind, limits, failure }: EntryContext,
): EntryMetadata {
  const { records, longLinkPath } = extensions;
  const path = entryPath(header, extensions);
  const isLink = kind === "symlink" || kind === "hardlink";
  const linkPath = isLink
    ? ((longLinkPath || undefined) ?? textOf(records, "linkpath") ?? header.linkPath)
    : "";
  for (const [name, text] of [
    ["path", path],
    ["link target", linkPath],
  ] as const) {
    if (text.length > limits.maxPathBytes) {
      throw failure(`its ${name} is longer than ${limits.maxPathBytes} bytes`, "maxPathBytes");
    }
    if (text.includes("\0")) throw failure(`its ${name} holds a NUL`);
  }
  const mode = header.number("mode");
  if (mode === undefined || mode < 0) throw failure("its mode is not an octal number");
  checkXattrs(records.xattrs, limits, failure);
  return {
    path,
    kind,
    // Some archives hold the file type here as well. No bit operator, for numbers beyond 32 bits.
    mode: mode % 0o10000,
    uid: ownerOf(header, records, { field: "uid", failure }),
    gid: ownerOf(header, records, { field: "gid", failure }),
    mtime: timeOf(header, records, failure),
    linkPath,
    device: kind.endsWith("-device") ? deviceOf(header, records, failure) : noDevice,
    xattrs: records.xattrs,
  };
}

/** What the reading of metadata depends on besides the headers. */
export interface EntryContext {
  readonly kind: TarEntryKind;
  readonly limits: TarLimits;
  readonly failure: TarFailure;
}

function ownerOf(
  header: TarHeader,
  records: PaxRecords,
  { field, failure }: { readonly field: "uid" | "gid"; readonly failure: TarFailure },
): number {
  const id = numberOf(header, records, field);
  // Some programs write ids as signed numbers; -1 is nobody's id on Linux.
  const unsigned = id !== undefined && id < 0 && id >= -(2 ** 31) ? id + 2 ** 32 : id;
  if (unsigned === undefined || unsigned < 0 || unsigned >= 2 ** 32 - 1) {
    throw failure(`its ${field} is not an id of 32 bits`);
  }
  return unsigned;
}

function deviceOf(header: TarHeader, records: PaxRecords, failure: TarFailure): DeviceNumber {
  const major = numberOf(header, records, "devmajor");
  const minor = numberOf(header, records, "devminor");
  if (major === undefined || minor === undefined || !isMajor(major) || !isMinor(minor)) {
    throw failure("its device number is not one of Linux");
  }
  return { major, minor };
}

function isMajor(number: number): boolean {
  return number >= 0 && number < 2 ** 12;
}

function isMinor(number: number): boolean {
  return number >= 0 && number < 2 ** 20;
}

function timeOf(header: TarHeader, records: PaxRecords, failure: TarFailure): FileTime {
  const text = textOf(records, "mtime");
  if (text === undefined) {
    const seconds = header.number("mtime");
    if (seconds === undefined) throw failure("its time is not a number");
    return { seconds, nanoseconds: 0 };
  }
  const [, sign = "", whole = "", fraction = ""] = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text) ?? [];
  if (whole === "") throw failure("its time is not a decimal number");
  const seconds = Number(whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"));
  if (sign === "") return { seconds, nanoseconds };
  if (nanoseconds === 0) return { seconds: 0 - seconds, nanoseconds };
  return { seconds: -seconds - 1, nanoseconds: 10 ** 9 - nanoseconds };
}

function numberOf(header: TarHeader, records: PaxRecords, field: NumberField): number | undefined {
  const isDevice = field === "devmajor" || field === "devminor";
  const text = textOf(records, isDevice ? `SCHILY.${field}` : field);
  return text === undefined ? header.number(field) : parseDecimal(text);
}

/** An empty value means that the header block counts. */
function textOf(records: PaxRecords, keyword: string): string | undefined {
  const value = records.values.get(keyword);
  return value === undefined || value.length === 0 ? undefined : value.toString("latin1");
}
