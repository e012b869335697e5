import { constants, open, type FileHandle } from "node:fs/promises";
import type { Abortable } from "@longshore/core";
import type { ReadableFilesystem } from "../rafs/readable-filesystem.ts";
import type { BlobReader } from "./blob-reader.ts";
import { readPieces } from "./read-pieces.ts";

export interface CopyFileOptions extends Abortable {
  readonly nid: number;
  readonly size: number;
  /** Where it goes; must not exist, not even as a link */
  readonly path: Buffer;
}

/** Where files come from. */
export interface FileSource {
  readonly filesystem: ReadableFilesystem;
  readonly blobs: BlobReader;
}

/** Bytes in memory for each file that is being copied. */
const windowBytes = 1_048_576;
/** Runs of zeros of this length, at such offsets, become holes. */
const holeBytes = 65_536;
const zeros = Buffer.alloc(holeBytes);

/** Writes the content of a file of an image to a new file of mode 0600. What is zero takes no room. */
export async function copyFile(source: FileSource, options: CopyFileOptions): Promise<void> {
  const { size, path } = options;
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
  const file = await open(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
  try {
    const written = await copyContent(source, file, options);
    if (written < size) await file.truncate(size);
  } finally {
    await file.close();
  }
}

/** Returns how far it has written: what comes after is zeros. */
async function copyContent(
  { filesystem, blobs }: FileSource,
  file: FileHandle,
  { nid, size, signal }: CopyFileOptions,
): Promise<number> {
  let written = 0;
  const window = Buffer.allocUnsafe(Math.min(size, windowBytes));
  for (let offset = 0; offset < size; offset += windowBytes) {
    signal?.throwIfAborted();
    const data = window.subarray(0, Math.min(windowBytes, size - offset));
    let at = 0;
    for (const piece of readPieces(filesystem, { nid, offset, length: data.length })) {
      await blobs.read(piece.blobId, piece.offset, data.subarray(at, at + piece.length));
      at += piece.length;
    }
    for (const [start, end] of dataRuns(data)) {
      await writeAll(file, data.subarray(start, end), offset + start);
      written = offset + end;
    }
  }
  return written;
}

/** The parts that are not zeros. */
function* dataRuns(data: Buffer): IterableIterator<readonly [number, number]> {
  let start = -1;
  for (let at = 0; at < data.length; at += holeBytes) {
    const part = data.subarray(at, at + holeBytes);
    const isHole = part.equals(zeros.subarray(0, part.length));
    if (!isHole && start === -1) start = at;
    if (isHole && start !== -1) {
      yield [start, at];
      start = -1;
    }
  }
  if (start !== -1) yield [start, data.length];
}

async function writeAll(file: FileHandle, data: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < data.length) {
    const { bytesWritten } = await file.write(data, done, data.length - done, position + done);
    done += bytesWritten;
  }
}
