import { randomUUID } from "node:crypto";
import { lstat, mkdir, open, readdir, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { syncDirectory } from "@longshore/core/files";
import { imageLinks, type ImageLinks } from "./image-links.ts";
import { asIoError } from "./io-error.ts";

/**
 * The files of a store:
 *
 * ```
 * images.db                                     what there is
 * blobs/sha256/<hex>                            data and bootstraps, each under the sha256 of its file
 * bootstrap/<registry>/<repository>/<tag>.meta  link to the image's bootstrap
 * refs/<registry>/<repository>/<tag>            link that reads sha256:<image id>
 * lazy/<hex>.*                                  what was fetched of blobs that are loaded on demand
 * ingest/<uuid>                                 what is being written
 * mounts/                                       mount points and writable layers
 * ```
 *
 * The links are for people and other tools; the database is what counts.
 */
export interface StoreLayout {
  readonly directory: string;
  readonly databasePath: string;
  readonly blobDirectory: string;
  /** What was fetched of blobs that are loaded on demand */
  readonly lazyDirectory: string;
  readonly mountDirectory: string;
  blobPath(blobId: string): string;
  /** A new file for something that is being written. */
  createIngest(): Promise<IngestFile>;
  readonly links: ImageLinks;
  /** Ids of the blobs whose files are there, known to the database or not. */
  listBlobs(): Promise<readonly string[]>;
  /** @returns bytes that were given back */
  removeBlob(blobId: string): Promise<number>;
  /** Deletes what interrupted writers left; only while nobody writes. @returns bytes that were given back */
  clearIngest(): Promise<number>;
}

/** A file on its way into the store. Disposing closes it, and deletes it unless it was installed. */
interface IngestFile extends AsyncDisposable {
  readonly path: string;
  readonly file: FileHandle;
  /** Puts it on the disk and among the blobs: there it is whole or not at all. */
  install(blobId: string): Promise<void>;
}

const blobIdPattern = /^[0-9a-f]{64}$/;

/**
 * Makes the directories of a store.
 *
 * @throws {LongshoreError} `IO_ERROR`
 */
export async function openStoreLayout(root: string): Promise<StoreLayout> {
  const blobDirectory = join(root, "blobs", "sha256");
  const ingestDirectory = join(root, "ingest");
  const lazyDirectory = join(root, "lazy");
  const mountDirectory = join(root, "mounts");
  try {
    // Images may hold secrets, and a writable layer may hold setuid files: nobody else passes through.
    await mkdir(root, { recursive: true, mode: 0o711 });
    for (const directory of [blobDirectory, lazyDirectory, ingestDirectory]) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
    }
    await mkdir(mountDirectory, { recursive: true, mode: 0o711 });
  } catch (error) {
    throw asIoError(error, `open the image store ${root}`);
  }

  function blobPath(blobId: string): string {
    if (!blobIdPattern.test(blobId)) throw new TypeError(`"${blobId}" is not the id of a blob`);
    return join(blobDirectory, blobId);
  }

  return {
    directory: root,
    databasePath: join(root, "images.db"),
    blobDirectory,
    lazyDirectory,
    mountDirectory,
    blobPath,
    createIngest: () => createIngest(ingestDirectory, blobPath),
    links: imageLinks(root, blobPath),
    async listBlobs() {
      const names = await readdir(blobDirectory);
      return names.filter((name) => blobIdPattern.test(name));
    },
    removeBlob: (blobId) => removeFile(blobPath(blobId)),
    async clearIngest() {
      let bytes = 0;
      for (const name of await readdir(ingestDirectory)) {
        bytes += await removeFile(join(ingestDirectory, name));
      }
      return bytes;
    },
  };
}

async function createIngest(
  directory: string,
  blobPath: (blobId: string) => string,
): Promise<IngestFile> {
  const path = join(directory, randomUUID());
  const file = await open(path, "wx+", 0o600);
  let isInstalled = false;
  return {
    path,
    file,
    async install(blobId) {
      const target = blobPath(blobId);
      await file.datasync();
      await rename(path, target);
      isInstalled = true;
      await syncDirectory(dirname(target));
    },
    async [Symbol.asyncDispose]() {
      await file.close();
      if (!isInstalled) await rm(path, { force: true });
    },
  };
}

async function removeFile(path: string): Promise<number> {
  const found = await lstat(path).catch(() => undefined);
  await rm(path, { force: true });
  return (found?.blocks ?? 0) * 512;
}
