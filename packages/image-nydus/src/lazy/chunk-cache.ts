import { readSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { LongshoreError } from "@longshore/core/errors";
import { openChunkFiles, type ChunkFilesOptions } from "./chunk-files.ts";
import {
  allReadyOffset,
  byteOf,
  chunkMapHeaderSize,
  countBits,
  encodeAllReady,
  hasBit,
  maskOf,
  setBit,
} from "./chunk-map.ts";
import type { LazyFiles } from "./lazy-files.ts";

/** Chunks of one blob on disk. Disposing makes what was put durable and closes the files. */
export interface ChunkCache extends AsyncDisposable {
  readonly readyCount: number;
  /** Whether the files say of themselves that nothing is missing */
  readonly isAllReady: boolean;
  /** Whether the bytes of a chunk can be read. */
  has(index: number): boolean;
  /** Fills the target with bytes from `offset` on, of chunks that are there and the zeros between them. */
  read(offset: number, target: Uint8Array): void;
  /**
   * Takes the verified bytes of a chunk. It can be read at once, and outlives a crash after the next `flush`.
   *
   * @throws {LongshoreError} `IO_ERROR` when they cannot be written, e.g. on a full disk
   */
  put(index: number, offset: number, bytes: Buffer): Promise<void>;
  /** Makes what was put durable. @throws {LongshoreError} `IO_ERROR`; what was not durable is forgotten then */
  flush(): Promise<void>;
  /** Takes chunks back whose bytes turned out to be wrong. */
  forget(indexes: readonly number[]): Promise<void>;
  /** Marks the files as complete; every chunk must be there. */
  markAllReady(): Promise<void>;
}

export interface ChunkCacheOptions extends ChunkFilesOptions {
  /** Bytes written until they are made durable. @default 16 MiB */
  readonly flushBytes?: number | undefined;
  /** Milliseconds until they are made durable, however few they are. @default 2_000 */
  readonly flushMs?: number | undefined;
  /** Told when making bytes durable failed in the background */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/**
 * Opens the files of a partly fetched blob.
 *
 * A bit of the map is written only after the disk has confirmed the bytes it stands for, so that neither a killed process
 * nor a power cut leaves a bit without its bytes. Bits may be missing afterwards: such chunks are fetched again.
 */
export async function openChunkCache(
  files: LazyFiles,
  options: ChunkCacheOptions,
): Promise<ChunkCache> {
  const { chunkCount, flushBytes = 16 * 1_048_576, flushMs = 2_000, onError } = options;
  const { data, map, state } = await openChunkFiles(files, options);
  /** Readable here, durable or not */
  const present = Buffer.from(state.bits);
  let isAllReady = state.isAllReady;
  let readyCount = isAllReady ? chunkCount : countBits(present, chunkCount);
  if (isAllReady) present.fill(0xff);
  const writing = new Set<Promise<unknown>>();
  let unsynced = new Set<number>();
  let unsyncedBytes = 0;
  let flushing: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let closing: Promise<void> | undefined;

  function markPresent(index: number, value: boolean): void {
    if (hasBit(present, index) === value) return;
    setBit(present, index, value);
    readyCount += value ? 1 : -1;
  }

  /** Another process may have fetched it. Its word counts: it follows the same order of writing. */
  function isReadyOnDisk(index: number): boolean {
    const byte = Buffer.alloc(1);
    readSync(map.fd, byte, 0, 1, chunkMapHeaderSize + byteOf(index));
    return ((byte[0] ?? 0) & maskOf(index)) !== 0;
  }

  async function flushNow(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    await Promise.allSettled(writing);
    if (unsynced.size === 0) return;
    const chunks = unsynced;
    unsynced = new Set();
    unsyncedBytes = 0;
    try {
      await data.datasync();
    } catch (cause) {
      // The kernel may have dropped the pages, and would not say so a second time.
      for (const index of chunks) markPresent(index, false);
      throw ioError("The disk does not keep fetched data", files.data, cause);
    }
    try {
      await writeBits(map, [...chunks], true);
    } catch (cause) {
      throw ioError("The map of fetched data cannot be written", files.map, cause);
    }
  }

  function flush(): Promise<void> {
    const next = flushing.then(flushNow);
    flushing = next.catch(() => undefined);
    return next;
  }

  function flushInBackground(): void {
    void flush().catch((error: unknown) => onError?.(error));
  }

  async function close(): Promise<void> {
    try {
      await flush();
    } catch (error) {
      onError?.(error);
    } finally {
      await data.close();
      await map.close();
    }
  }

  return {
    get readyCount() {
      return readyCount;
    },
    get isAllReady() {
      return isAllReady;
    },
    has(index) {
      if (hasBit(present, index)) return true;
      if (!isReadyOnDisk(index)) return false;
      markPresent(index, true);
      return true;
    },
    read(offset, target) {
      let done = 0;
      while (done < target.length) {
        // Not through the thread pool: bytes that are local mostly are in the page cache.
        const bytes = readSync(data.fd, target, done, target.length - done, offset + done);
        if (bytes === 0) throw ioError("Fetched data has been cut off", files.data, undefined);
        done += bytes;
      }
    },
    async put(index, offset, bytes) {
      const write = writeAll(data, bytes, offset);
      writing.add(write);
      try {
        await write;
      } catch (cause) {
        throw ioError("Fetched data cannot be written", files.data, cause);
      } finally {
        writing.delete(write);
      }
      markPresent(index, true);
      unsynced.add(index);
      unsyncedBytes += bytes.length;
      if (unsyncedBytes >= flushBytes) flushInBackground();
      else timer ??= setTimeout(flushInBackground, flushMs).unref();
    },
    flush,
    async forget(indexes) {
      await flush();
      if (isAllReady) {
        // The mark stands for bits that may never have been written.
        const all = Array.from({ length: chunkCount }, (_, index) => index);
        await writeBits(map, all, true);
        await map.datasync();
        await map.write(encodeAllReady(false), 0, 4, allReadyOffset);
        isAllReady = false;
      }
      // In the file first, which is asked about what is not known here.
      await writeBits(map, indexes, false);
      for (const index of indexes) markPresent(index, false);
      await map.datasync();
    },
    async markAllReady() {
      if (isAllReady) return;
      await flush();
      if (readyCount !== chunkCount) {
        throw new LongshoreError("STATE_CONFLICT", `${files.data} lacks chunks.`, {
          details: { readyCount, chunkCount },
        });
      }
      // What another process wrote may not be durable yet.
      await data.datasync();
      await map.write(encodeAllReady(true), 0, 4, allReadyOffset);
      await map.datasync();
      isAllReady = true;
    },
    [Symbol.asyncDispose]() {
      closing ??= close();
      return closing;
    },
  };
}

/** Changes the bits of some chunks, and of no other ones, in the file. */
async function writeBits(
  map: FileHandle,
  indexes: readonly number[],
  value: boolean,
): Promise<void> {
  if (indexes.length === 0) return;
  const first = byteOf(indexes.reduce((least, index) => Math.min(least, index)));
  const last = byteOf(indexes.reduce((most, index) => Math.max(most, index)));
  const bytes = Buffer.alloc(last - first + 1);
  await map.read(bytes, 0, bytes.length, chunkMapHeaderSize + first);
  for (const index of indexes) setBit(bytes, index - first * 8, value);
  await writeAll(map, bytes, chunkMapHeaderSize + first);
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function ioError(what: string, path: string, cause: unknown): LongshoreError {
  return new LongshoreError("IO_ERROR", `${what}: ${path}`, { cause, details: { path } });
}
