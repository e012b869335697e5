import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  openNydusImageStore,
  type NydusImageStore,
  type NydusImageStoreOptions,
} from "../../src/index.ts";
import { mountedBelow } from "../../src/mount/mounted-at.ts";
import { unmount } from "../../src/mount/unmount.ts";

/** A temporary directory with room for image layouts and stores. Disposing takes down what is mounted there. */
export interface StorePlace extends AsyncDisposable {
  readonly path: string;
  /** An OCI layout directory */
  readonly layout: string;
  /** Where {@link StorePlace.open} has its store */
  readonly directory: string;
  /** Name by which the layout's image of that tag is pulled */
  source(tag: string): string;
  /** Opens a store whose platform is that of the images tests make. */
  open(options?: Partial<NydusImageStoreOptions>): Promise<NydusImageStore>;
  /** What is mounted in there now */
  mounts(): Promise<readonly string[]>;
}

export async function storePlace(): Promise<StorePlace> {
  const path = await mkdtemp(join(tmpdir(), "longshore-store-"));
  const layout = join(path, "app");
  const directory = join(path, "store");
  await mkdir(layout);
  const mounts = async (): Promise<readonly string[]> =>
    (await mountedBelow(path)).map(({ target }) => target);
  return {
    path,
    layout,
    directory,
    source: (tag) => `oci:${layout}:${tag}`,
    open: (options) =>
      openNydusImageStore({
        directory,
        platform: { os: "linux", architecture: "amd64" },
        ...options,
      }),
    mounts,
    async [Symbol.asyncDispose]() {
      for (const target of await mounts()) await unmount(target);
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** Pulls an image by name. @returns its id */
export function pull(store: NydusImageStore, image: string): Promise<string> {
  return store.pullImage({ image: { image } });
}

/** Names in a directory, in order; none when it is not there. */
export async function namesIn(...parts: readonly string[]): Promise<readonly string[]> {
  const names = await readdir(join(...parts)).catch(() => []);
  return names.toSorted((a, b) => (a < b ? -1 : 1));
}

/** Files of a store's blobs, by name. */
export function blobsOf(directory: string): Promise<readonly string[]> {
  return namesIn(directory, "blobs", "sha256");
}
