import { writevSync } from "node:fs";
import type { BlobReader } from "../mount/blob-reader.ts";
import { errno } from "./fuse-protocol.ts";
import { dataHeader, errorReply } from "./fuse-reply.ts";
import type { DataRead } from "./fuse-session.ts";
import { isGone } from "./serve-requests.ts";

export interface RemoteReadsOptions {
  /** Open file of `/dev/fuse` */
  readonly device: number;
  readonly blobs: BlobReader;
  /** Reads worked on at once, each with a buffer of up to 1 MiB; further ones wait. @default 32 */
  readonly concurrency?: number | undefined;
  readonly onError: (error: unknown, nid: number) => void;
}

/** Answers reads of file data from a {@link BlobReader} that takes its time. */
export interface RemoteReads {
  answer(read: DataRead): void;
  /** The caller was interrupted: it gets EINTR at once, and the data is dropped when it comes. */
  interrupt(unique: bigint): void;
  /** Nothing is answered any more. What is still being read is dropped when it comes. */
  close(): void;
}

/**
 * Answers to the kernel straight from the thread that has the data: the threads that wait for requests hand reads over and
 * go on waiting, so any number of reads can be under way.
 */
export function remoteReads({
  device,
  blobs,
  concurrency = 32,
  onError,
}: RemoteReadsOptions): RemoteReads {
  const waiting = new Map<bigint, DataRead>();
  const running = new Set<bigint>();
  // Also counts reads that were interrupted: their buffers are still there.
  let buffers = 0;
  let isClosed = false;

  // Not through the thread pool, which may be full of callers that wait for this very answer. It is a copy in memory.
  const send = (parts: readonly Buffer[], nid: number): void => {
    if (isClosed) return;
    try {
      writevSync(device, parts);
    } catch (error) {
      if (!isGone(error)) onError(error, nid);
    }
  };

  const run = async (read: DataRead): Promise<void> => {
    buffers += 1;
    const data = Buffer.allocUnsafe(read.length);
    let answer: readonly Buffer[];
    try {
      await Promise.all(fill(blobs, read, data));
      answer = [dataHeader(read.unique, data.length), data];
    } catch (error) {
      if (running.has(read.unique)) onError(error, read.nid);
      answer = [errorReply(read.unique, errno.EIO)];
    }
    // Not in the set: it was interrupted and has been answered.
    if (running.delete(read.unique)) send(answer, read.nid);
    buffers -= 1;
    next();
  };

  const next = (): void => {
    for (const [unique, read] of waiting) {
      if (buffers >= concurrency) return;
      waiting.delete(unique);
      running.add(unique);
      void run(read);
    }
  };

  return {
    answer(read) {
      if (isClosed) return;
      waiting.set(read.unique, read);
      next();
    },
    interrupt(unique) {
      const read = waiting.delete(unique) || running.delete(unique);
      // The read itself may come after its interruption, through another thread: then the kernel shall say it again.
      const error = read ? errno.EINTR : errno.EAGAIN;
      send([errorReply(read ? unique : unique | 1n, error)], 0);
    },
    close() {
      isClosed = true;
      waiting.clear();
      running.clear();
    },
  };
}

function fill(blobs: BlobReader, read: DataRead, data: Buffer): Promise<void>[] {
  let at = 0;
  return read.pieces.map(({ blobId, offset, length }) => {
    const target = data.subarray(at, at + length);
    at += length;
    return blobs.read(blobId, offset, target);
  });
}
