import type { FileHandle } from "node:fs/promises";
import { diskError } from "./disk-error.ts";

/** A disk as its guest sees it: bytes in a row. */
export interface DiskReader {
  /** Bytes */
  readonly size: number;
  /** Exactly these bytes. @throws {LongshoreError} `DISK_UNREADABLE` for a range that is not all on the disk */
  read(offset: number, length: number): Promise<Buffer>;
}

/** Longest piece that is read at once: what a structure on a disk may need, not what its fields may claim */
const maxReadBytes = 32 * 1_048_576;

/** A file whose bytes are the disk's. */
export function rawDisk(file: FileHandle, size: number): DiskReader {
  return {
    size,
    async read(offset, length) {
      checkRange(offset, length, size);
      const buffer = Buffer.alloc(length);
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled);
        if (bytesRead === 0) throw diskError("The image became shorter while it was read.");
        filled += bytesRead;
      }
      return buffer;
    },
  };
}

/** A part of a disk, e.g. a partition. */
export function sliceOf(disk: DiskReader, start: number, size: number): DiskReader {
  return {
    size,
    async read(offset, length) {
      checkRange(offset, length, size);
      return disk.read(start + offset, length);
    },
  };
}

/** The same disk, which nobody may read from once the signal has aborted. */
export function abortable(disk: DiskReader, signal: AbortSignal): DiskReader {
  return {
    size: disk.size,
    async read(offset, length) {
      signal.throwIfAborted();
      return disk.read(offset, length);
    },
  };
}

export function checkRange(offset: number, length: number, size: number): void {
  const isSane = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (isSane && offset >= 0 && length >= 0 && offset + length <= size && length <= maxReadBytes) {
    return;
  }
  throw diskError(`The image refers to ${length} bytes at ${offset}; it has ${size}.`);
}

/** A 64-bit field of the disk. @throws {LongshoreError} `DISK_UNREADABLE` when it is beyond any real disk */
export function toSize(value: bigint): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw diskError(`The image refers to byte ${value}, which no disk has.`);
}
