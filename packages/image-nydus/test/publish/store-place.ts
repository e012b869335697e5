import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { openNydusImageStore } from "../../src/open-nydus-image-store.ts";
import type { NydusImageStore, NydusImageStoreOptions } from "../../src/nydus-image-store.ts";
import { imageMountMethods } from "../../src/rootfs/mountable-image.ts";
import type { FileListing } from "../tree/file-listing.ts";
import { listDirectory } from "../tree/list-directory.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../registry/sample-image.ts";

/** Stores in one temporary directory; disposing closes them. */
export interface StorePlace extends TemporaryDirectory {
  /** Opens the store of that name. */
  open(name: string, options?: Partial<NydusImageStoreOptions>): Promise<NydusImageStore>;
  /** Mounts an image by FUSE, or as told, and lists it. */
  list(store: NydusImageStore, ref: string): Promise<FileListing>;
  /** A new empty directory. */
  directory(): Promise<string>;
}

export async function storePlace(): Promise<StorePlace> {
  const place = await temporaryDirectory();
  const stores: NydusImageStore[] = [];
  let count = 0;

  async function directory(): Promise<string> {
    count += 1;
    const path = join(place.path, `directory-${count}`);
    await mkdir(path);
    return path;
  }

  return {
    path: place.path,
    directory,
    async open(name, options) {
      const store = await openNydusImageStore({
        directory: join(place.path, name),
        registry: { env: {} },
        mountMethods: imageMountMethods,
        ...options,
      });
      stores.push(store);
      return store;
    },
    async list(store, ref) {
      await using mount = await store.mount(ref, await directory());
      return await listDirectory(mount.target);
    },
    async [Symbol.asyncDispose]() {
      for (const store of stores.toReversed()) await store[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}

/** What a store is still writing, which is nothing when it rests. */
export function unfinishedFiles(store: NydusImageStore): Promise<string[]> {
  return readdir(join(store.directory, "ingest"));
}
