import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { isLongshoreError, LongshoreError } from "@longshore/core/errors";
import type { BlobReader } from "./blob-reader.ts";

/** Reads blobs that lie uncompressed in a directory. Disposing closes the files. */
export interface LocalBlobReader extends BlobReader, Disposable {
  /** As `read`, at once: a page-cache read costs less than a turn through a thread pool. */
  readSync(blobId: string, offset: number, target: Uint8Array): void;
}

/** Files held open at once; an image has 255 blobs at most. */
const maxOpenFiles = 256;
const blobIdPattern = /^[0-9a-f]{64}$/;

/**
 * Reads blobs from a directory of blob files whose bytes stand there as they are, at their offsets; a file's name is the
 * id of its blob. The files were verified when they were stored.
 *
 * @param held blobs that somebody else has opened, and closes
 */
export function localBlobReader(
  directory: string,
  held: ReadonlyMap<string, number> = new Map(),
): LocalBlobReader {
  // In order of last use, the oldest first.
  const open = new Map<string, number>();

  const fileOf = (blobId: string): number => {
    const known = held.get(blobId);
    if (known !== undefined) return known;
    const used = open.get(blobId);
    if (used !== undefined) {
      open.delete(blobId);
      open.set(blobId, used);
      return used;
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
    const file = openBlob(blobId, join(directory, blobId));
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

/** Blobs that stay readable when their files are deleted. Disposing closes them. */
export interface HeldBlobs extends Disposable {
  /** File descriptors by id of the blob; they are good in all threads */
  readonly files: ReadonlyMap<string, number>;
}

/**
 * Opens blobs before they are read. One that is not there is no error: whoever reads it is told.
 *
 * @param paths files by id of the blob, wherever they lie
 */
export function holdBlobs(paths: ReadonlyMap<string, string>): HeldBlobs {
  const files = new Map<string, number>();
  for (const [blobId, path] of paths) {
    try {
      files.set(blobId, openBlob(blobId, path));
    } catch (error) {
      if (!isLongshoreError(error)) throw error;
    }
  }
  return {
    files,
    [Symbol.dispose]() {
      for (const file of files.values()) closeSync(file);
      files.clear();
    },
  };
}

function openBlob(blobId: string, path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    throw new LongshoreError("IO_ERROR", `Blob ${blobId} cannot be opened.`, {
      cause,
      details: { blobId, path },
    });
  }
}
