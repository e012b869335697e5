import { spawn } from "node:child_process";
import { constants } from "node:fs";
import type { Abortable } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { collect, exitOf, failedWith, findPerl, perlArguments, perlError } from "../mount/perl.ts";
import { byteSource, type ByteSource } from "../tar/byte-source.ts";
import type { TarContent } from "../tar/tar-entry.ts";
import { toByteString, type ByteString, type DeviceNumber, type FileKind } from "../tree/inode.ts";
import type { FileTime } from "../tree/inode.ts";
import { scanProgram } from "./scan-program.ts";

/** A name in a directory tree of this machine, as it is. */
export interface ScannedFile {
  readonly kind: FileKind;
  /** From the directory, without a slash in front; `.` for the directory itself */
  readonly path: ByteString;
  /** Permission bits */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: FileTime;
  readonly device: DeviceNumber;
  /** The same for all names of one file */
  readonly inode: string;
  readonly linkTarget: ByteString;
  readonly xattrs: ReadonlyMap<ByteString, Buffer>;
  /** Of files: read it before the next name is asked for; what is not read is skipped */
  readonly content: AsyncIterable<TarContent>;
}

export interface ScanOptions extends Abortable {
  /** Names in the whole tree */
  readonly maxEntries: number;
}

/** A frame holds one name with its attributes, which the kernel bounds: 64 KiB of names and of each value */
const maxFrameBytes = 16 * 1_048_576;
const noContent: AsyncIterable<TarContent> = (async function* none() {})();

/**
 * Reads a directory with all that is in it, a directory before what is in it, names in byte order. Follows no link and
 * crosses no mount; what others change meanwhile is seen or not, but nothing from elsewhere.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for too many names, `LIMIT_EXCEEDED` for too long a path; `STATE_CONFLICT` when a file changes while
 *   it is read; `IO_ERROR`
 */
export async function* scanDirectory(
  directory: string,
  { maxEntries, signal }: ScanOptions,
): AsyncGenerator<ScannedFile, void, undefined> {
  signal?.throwIfAborted();
  const { O_DIRECTORY, O_NOFOLLOW } = constants;
  // Their numbers differ between processors.
  const flags = `our %flag = (directory => ${O_DIRECTORY}, nofollow => ${O_NOFOLLOW});`;
  const args = perlArguments(flags + scanProgram, [directory, String(maxEntries)]);
  const child = spawn(await findPerl(), args, {
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
    env: { LC_ALL: "C" },
  });
  const complaint = collect(child.stderr);
  const exit = exitOf(child);
  exit.catch(() => undefined);
  const source = byteSource(child.stdout, { signal });
  try {
    for (;;) {
      const header = await source.read(4);
      if (header.length < 4) break;
      const size = header.readUInt32BE(0);
      if (size > maxFrameBytes) throw new LongshoreError("IO_ERROR", "The listing is broken.");
      const frame = await source.read(size);
      if (frame.length < size) break;
      const file = toFile(fieldsOf(frame));
      if (file.kind !== "file") {
        yield file;
        continue;
      }
      const content = contentOf(source, file);
      yield { ...file, content };
      for await (const _rest of content);
    }
    if ((await exit) !== 0) throw scanError(complaint());
  } finally {
    child.kill("SIGKILL");
    await source.close();
    await exit.catch(() => undefined);
  }
}

/** The bytes of a file; going on where an earlier reader has stopped. */
async function* pieces(
  source: ByteSource,
  { path, size }: ScannedFile,
): AsyncGenerator<TarContent, void, undefined> {
  let at = 0;
  for (;;) {
    const header = await source.read(8);
    if (header.length < 8) return;
    const [how, length] = [header.readUInt32BE(0), header.readUInt32BE(4)];
    if (how === 0) break;
    at += length;
    if (how === 2) {
      yield { kind: "hole", size: length };
      continue;
    }
    for (let left = length; left > 0;) {
      const bytes = await source.readSome(left);
      if (bytes.length === 0) return;
      left -= bytes.length;
      yield { kind: "data", bytes };
    }
  }
  if (at === size) return;
  throw new LongshoreError("STATE_CONFLICT", `${shown(path)} changed while it was read.`, {
    details: { path: shown(path), size, read: at },
  });
}

function contentOf(source: ByteSource, file: ScannedFile): AsyncIterable<TarContent> {
  const all = pieces(source, file);
  // Ending a loop early ends the generator, but not what is still to be passed over.
  return { [Symbol.asyncIterator]: () => ({ next: () => all.next() }) };
}

function fieldsOf(frame: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let at = 0; at + 4 <= frame.length;) {
    const end = at + 4 + frame.readUInt32BE(at);
    fields.push(frame.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

function toFile(fields: readonly Buffer[]): ScannedFile {
  const text = (index: number): string => toByteString(fields[index] ?? Buffer.alloc(0));
  const number = (index: number): number => Number(text(index));
  const xattrs = new Map<ByteString, Buffer>();
  for (let at = 13; at + 1 < fields.length; at += 2) {
    // A copy: the frame may be part of a large buffer.
    xattrs.set(text(at), Buffer.from(fields[at + 1] ?? []));
  }
  const kind = text(0) as FileKind;
  return {
    kind,
    path: text(1),
    mode: number(2) & 0o7777,
    nlink: number(3),
    uid: number(4),
    gid: number(5),
    size: kind === "file" ? number(6) : 0,
    mtime: { seconds: number(7), nanoseconds: number(8) },
    device: { major: number(9), minor: number(10) },
    inode: text(11),
    linkTarget: text(12),
    xattrs,
    content: noContent,
  };
}

function scanError(complaint: string): LongshoreError {
  const error = perlError("read the files of a root filesystem", complaint);
  if (failedWith(error, "E2BIG")) {
    return new LongshoreError("VALIDATION_ERROR", "The root filesystem has too many files.", {
      cause: error,
      details: { limit: "maxEntries" },
    });
  }
  if (failedWith(error, "ENAMETOOLONG")) {
    return new LongshoreError("LIMIT_EXCEEDED", "A path of the root filesystem is too long.", {
      cause: error,
    });
  }
  // Somebody renamed or deleted it between two looks, or put a link there.
  if (["ENOENT", "ENOTDIR", "ELOOP"].some((errno) => failedWith(error, errno))) {
    return new LongshoreError("STATE_CONFLICT", `Files changed while they were read.`, {
      cause: error,
      ...(error.details !== undefined && { details: error.details }),
    });
  }
  return error;
}

function shown(path: ByteString): string {
  return JSON.stringify(path.slice(0, 256));
}
