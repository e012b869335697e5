import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Rootfs } from "@longshore/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openNydusImageStore, type NydusImageStore } from "../../src/index.ts";
import { mountedBelow } from "../../src/mount/mounted-at.ts";
import { differences, type FileListing } from "../tree/file-listing.ts";
import { listDirectory } from "../tree/list-directory.ts";
import { realImageLayout, realImages } from "./real-images.ts";

const run = promisify(execFile);

let directory = "";
let layout = "";

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-same-tree-"));
  layout = await realImageLayout();
}, 600_000);

afterAll(async () => {
  const left = await mountedBelow(directory);
  if (left.length > 0) throw new Error(`left mounted: ${left.map(({ target }) => target).join()}`);
  await rm(directory, { recursive: true, force: true });
});

/** What umoci makes of an image. */
async function unpacked(name: string): Promise<FileListing> {
  const bundle = join(directory, `bundle-${name}`);
  await run("umoci", ["unpack", "--image", `${layout}:${name}`, bundle]);
  try {
    return await listDirectory(join(bundle, "rootfs"));
  } finally {
    await rm(bundle, { recursive: true, force: true });
  }
}

function lowerOf(rootfs: Rootfs): string {
  if (rootfs.kind === "overlay") return rootfs.lower[0] ?? "";
  if (rootfs.kind === "directory") return rootfs.path;
  throw new Error(`unexpected root filesystem: ${rootfs.kind}`);
}

async function withStore<T>(
  options: { readonly methods: "kernel" | "fuse" | "none" },
  use: (store: NydusImageStore) => Promise<T>,
): Promise<T> {
  const methods = { kernel: ["erofs-files"], fuse: ["fuse"], none: [] } as const;
  await using store = await openNydusImageStore({
    directory: join(directory, "store"),
    mountMethods: methods[options.methods],
  });
  return await use(store);
}

describe("an image of the store has the tree that umoci unpacks", () => {
  it.each(realImages)("%s", async (name) => {
    const expected = await unpacked(name);
    const ref = `localhost/layout:${name}`;
    await mkdir(join(directory, "store"), { recursive: true });
    for (const methods of ["kernel", "fuse", "none"] as const) {
      await withStore({ methods }, async (store) => {
        await store.pullImage({ image: { image: `oci:${layout}:${name}` } });
        const accept = methods === "none" ? (["directory"] as const) : (["overlay"] as const);
        await using prepared = await store.prepareRootfs(ref, `${methods}-${name}`, { accept });
        const actual = await listDirectory(lowerOf(prepared.rootfs));
        expect(differences(actual, expected), methods).toEqual([]);
      });
    }
  });

  it("stores what adjacent versions have in common once", async () => {
    await withStore({ methods: "none" }, async (store) => {
      const { images, storedBytes } = await store.diskUsage();
      const alone = images.reduce((sum, { logicalBytes }) => sum + logicalBytes, 0);
      expect(storedBytes).toBeLessThan(alone * 0.7);
      const { sharedBytes, secondOnlyBytes } = await store.diff(
        "localhost/layout:app-1",
        "localhost/layout:app-2",
      );
      expect(secondOnlyBytes / sharedBytes).toBeLessThan(0.01);
      expect((await store.verify()).problems).toEqual([]);
    });
  });
});
