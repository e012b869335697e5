import type { FileHandle } from "node:fs/promises";
import type { Abortable } from "@longshore/core";
import { invalid, shown } from "../registry-errors.ts";

/** Where the bytes of a regular file of a tar archive lie, or where a link leads. */
export type TarIndexEntry =
  | { readonly kind: "file"; readonly offset: number; readonly size: number }
  | { readonly kind: "link"; readonly target: string };

const blockBytes = 512;
const maxEntries = 200_000;
const maxExtensionBytes = 1_024 * 1_024;
const maxPathLength = 4_096;

/** What headers before an entry say about it. */
interface Extension {
  path?: string;
  linkPath?: string;
  size?: number;
}

/**
 * Finds the files of an archive of images by one walk over its headers (ustar, PAX, GNU). Enough for `docker save` and
 * OCI archives; layers are read by something more careful.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for what is no tar archive, is cut off, or has paths that lead out of it
 */
export async function indexTar(
  handle: FileHandle,
  options: Abortable = {},
): Promise<ReadonlyMap<string, TarIndexEntry>> {
  const { size: fileSize } = await handle.stat();
  const entries = new Map<string, TarIndexEntry>();
  let extension: Extension = {};
  let position = 0;
  for (let count = 0; position + blockBytes <= fileSize; count += 1) {
    options.signal?.throwIfAborted();
    if (count > maxEntries) throw invalid("archive", `has more than ${maxEntries} entries`);
    const header = await readAt(handle, position, blockBytes);
    position += blockBytes;
    if (isZero(header)) continue;
    assertChecksum(header);

    const type = String.fromCharCode(header[156] ?? 0);
    const isExtension = type === "x" || type === "L" || type === "K";
    const size = (isExtension ? undefined : extension.size) ?? numberField(header, 124, 12);
    const end = position + size;
    if (end > fileSize) throw invalid("archive", "is cut off");
    if (isExtension) {
      if (size > maxExtensionBytes) throw invalid("archive", "has a header that is too large");
      const body = await readAt(handle, position, size);
      Object.assign(extension, readExtension(type, body));
    } else {
      addEntry(entries, { header, type, extension, offset: position, size });
      extension = {};
    }
    position = Math.ceil(end / blockBytes) * blockBytes;
  }
  return entries;
}

interface RawEntry {
  readonly header: Buffer;
  readonly type: string;
  readonly extension: Extension;
  readonly offset: number;
  readonly size: number;
}

function addEntry(entries: Map<string, TarIndexEntry>, raw: RawEntry): void {
  const { header, type, extension, offset, size } = raw;
  const path = normalPath(extension.path ?? headerPath(header));
  if (type === "0" || type === "\0" || type === "7") {
    entries.set(path, { kind: "file", offset, size });
  } else if (type === "1" || type === "2") {
    const link = extension.linkPath ?? textField(header, 157, 100);
    const base = type === "2" ? path.slice(0, path.lastIndexOf("/") + 1) : "";
    entries.set(path, { kind: "link", target: normalPath(`${base}${link}`, link) });
  } else if (type === "S") {
    throw invalid(
      "archive",
      `${shown(path)} is a sparse file, which archives of images do not have`,
    );
  }
}

function readExtension(type: "x" | "L" | "K", body: Buffer): Extension {
  if (type === "L") return { path: textField(body, 0, body.length) };
  if (type === "K") return { linkPath: textField(body, 0, body.length) };
  const found: Extension = {};
  for (let position = 0; position < body.length;) {
    const space = body.indexOf(0x20, position);
    const length = Number(body.toString("latin1", position, Math.max(space, position)));
    const end = position + length;
    const equals = body.indexOf(0x3d, space);
    if (
      !Number.isInteger(length) ||
      length < 5 ||
      end > body.length ||
      equals > end ||
      equals < 0 ||
      space < 0
    ) {
      throw invalid("archive", "has a broken PAX header");
    }
    const key = body.toString("latin1", space + 1, equals);
    const value = body.toString("utf8", equals + 1, end - 1);
    if (key.startsWith("GNU.sparse.")) throw invalid("archive", "has sparse files");
    if (key === "path") found.path = value;
    else if (key === "linkpath") found.linkPath = value;
    else if (key === "size") found.size = checkedSize(Number(value));
    position = end;
  }
  return found;
}

/** The path without `.` and `..`; one that would leave the archive is refused. */
function normalPath(path: string, shownPath: string = path): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") {
      if (parts.pop() === undefined) throw outside(shownPath);
    } else if (part !== "" && part !== ".") {
      parts.push(part);
    }
  }
  if (shownPath.startsWith("/") || path.length > maxPathLength) throw outside(shownPath);
  return parts.join("/");
}

function outside(path: string): Error {
  return invalid("archive", `${shown(path)} leads out of the archive`);
}

function headerPath(header: Buffer): string {
  const name = textField(header, 0, 100);
  const isPosix = header.toString("latin1", 257, 263) === "ustar\0";
  const prefix = isPosix ? textField(header, 345, 155) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

function textField(buffer: Buffer, offset: number, length: number): string {
  const field = buffer.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end === -1 ? field.length : end);
}

function numberField(header: Buffer, offset: number, length: number): number {
  const first = header[offset] ?? 0;
  if (first >= 0x80) {
    // GNU writes sizes of 8 GiB and more as a big-endian number.
    let value = first & 0x7f;
    for (let index = offset + 1; index < offset + length; index += 1) {
      value = value * 256 + (header[index] ?? 0);
    }
    return checkedSize(value);
  }
  const text = textField(header, offset, length).trim();
  if (!/^[0-7]*$/.test(text)) throw invalid("archive", "is not a tar archive");
  return checkedSize(Number.parseInt(text || "0", 8));
}

function checkedSize(size: number): number {
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw invalid("archive", "has a file of impossible size");
}

function assertChecksum(header: Buffer): void {
  const stored = numberField(header, 148, 8);
  let sum = 8 * 0x20;
  for (let index = 0; index < blockBytes; index += 1) {
    if (index < 148 || index >= 156) sum += header[index] ?? 0;
  }
  if (sum !== stored) throw invalid("archive", "is not a tar archive, or is damaged");
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, position);
  if (bytesRead < length) throw invalid("archive", "is cut off");
  return buffer;
}
