import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { isLongshoreError, LongshoreError } from "@longshore/core";
import type { BlobReader } from "./blob-reader.ts";

/** Reads blobs that lie uncompressed in a directory. Disposing closes the files. */
export interface LocalBlobReader extends BlobReader, Disposable {
  /** As `read`, at once: a page-cache read costs less than a turn through a thread pool. */
  readSync(blobId: string, offset: number, target: Uint8Array): void;
  /** Opens blobs before they are read, so that they stay readable when somebody deletes the files; misses are no error. */
  hold(blobIds: readonly string[]): void;
}

/** Files held open at once; an image has 255 blobs at most. */
const maxOpenFiles = 256;
const blobIdPattern = /^[0-9a-f]{64}$/;

/**
 * Reads blobs from a directory of blob files whose bytes stand there as they are, at their offsets; a file's name is the
 * id of its blob. The files were verified when they were stored.
 */
export function localBlobReader(directory: string): LocalBlobReader {
  // In order of last use, the oldest first.
  const open = new Map<string, number>();

  const fileOf = (blobId: string): number => {
    const held = open.get(blobId);
    if (held !== undefined) {
      open.delete(blobId);
      open.set(blobId, held);
      return held;
    }
    if (!blobIdPattern.test(blobId)) {
      throw new LongshoreError("VALIDATION_ERROR", "A blob id must be 64 hexadecimal digits.", {
        details: { field: "blobId", expected: "sha256 as lower-case hex", blobId },
      });
    }
    const [oldest] = open;
    if (oldest !== undefined && open.size >= maxOpenFiles) {
      open.delete(oldest[0]);
      closeSync(oldest[1]);
    }
    const file = openBlob(directory, blobId);
    open.set(blobId, file);
    return file;
  };

  const readNow = (blobId: string, offset: number, target: Uint8Array): void => {
    const file = fileOf(blobId);
    let done = 0;
    while (done < target.length) {
      const bytes = readSync(file, target, done, target.length - done, offset + done);
      if (bytes === 0) {
        const { size } = fstatSync(file);
        throw new LongshoreError("IO_ERROR", `Blob ${blobId} ends before the bytes asked for.`, {
          details: { blobId, offset, length: target.length, size },
        });
      }
      done += bytes;
    }
  };

  return {
    readSync: readNow,
    hold(blobIds) {
      for (const blobId of blobIds) {
        try {
          fileOf(blobId);
        } catch (error) {
          // Whoever reads it is told.
          if (!isLongshoreError(error)) throw error;
        }
      }
    },
    // Not through the thread pool: the bytes are local, and nothing of it may be left running after a dispose.
    // oxlint-disable-next-line typescript/require-await -- an error must be a rejection
    async read(blobId, offset, target) {
      readNow(blobId, offset, target);
    },
    [Symbol.dispose]() {
      for (const file of open.values()) closeSync(file);
      open.clear();
    },
  };
}

function openBlob(directory: string, blobId: string): number {
  try {
    return openSync(join(directory, blobId), constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    throw new LongshoreError("IO_ERROR", `Blob ${blobId} cannot be opened.`, {
      cause,
      details: { blobId, directory },
    });
  }
}
