import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Rootfs } from "@longshore/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { layerOf, noise, writeOciImage } from "../store/oci-image.ts";
import { startStoreProcess } from "../store/start-store-process.ts";
import { blobsOf, namesIn, pull, storePlace, type StorePlace } from "../store/store-place.ts";

let place: StorePlace;
const content = noise("content", 400_000);
const image = "localhost/app:one";

beforeEach(async () => {
  place = await storePlace();
  await writeOciImage(place.layout, "one", { layers: [layerOf({ content, "etc/": "" })] });
  await using store = await place.open();
  await pull(store, place.source("one"));
});

afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

function changesOf(rootfs: Rootfs): string {
  if (rootfs.kind === "directory") return rootfs.path;
  return rootfs.kind === "overlay" ? (rootfs.upper?.upperDir ?? "") : "";
}

describe("root filesystems of a process that was killed", () => {
  it.each(["erofs-files", "erofs-loop", "fuse"] as const)(
    "are found by the next one, with what was written (%s)",
    async (method) => {
      const options = { mountMethods: [method] };
      const accept = ["directory"] as const;
      await using dead = startStoreProcess({
        directory: place.directory,
        options,
        steps: [
          { do: "prepare", image, owner: "overlay", write: "mine" },
          { do: "prepare", image, owner: "directory", options: { accept }, write: "mine" },
          { do: "wait" },
        ],
      });
      expect(await dead.result(2)).toBe("waiting");
      const before = [await dead.result(0), await dead.result(1)] as readonly Rootfs[];
      await dead.kill();
      expect(await place.mounts()).not.toEqual([]);

      await using store = await place.open(options);
      expect(await place.mounts()).toEqual([]);
      expect(await namesIn(place.directory, "mounts/images")).toEqual([]);
      expect(await namesIn(place.directory, "mounts/mounts")).toEqual([]);
      expect(await store.listOwners()).toEqual(["directory", "overlay"]);
      const { rootfs: overlay } = await store.prepareRootfs(image, "overlay");
      const { rootfs: directory } = await store.prepareRootfs(image, "directory");
      expect(changesOf(overlay)).toBe(changesOf(before[0] ?? overlay));
      expect(directory).toEqual(before[1]);
      for (const rootfs of [overlay, directory]) {
        expect(await readFile(join(changesOf(rootfs), "mine"), "utf8")).toBe("mine");
      }
      expect(await readFile(join(changesOf(directory), "content"))).toEqual(content);
      expect((await store.verify()).problems).toEqual([]);
      await store.releaseRootfs("overlay");
      await store.releaseRootfs("directory");
      expect(await store.listOwners()).toEqual([]);
      expect(await place.mounts()).toEqual([]);
    },
  );

  it("are found by one that was open already", async () => {
    const accept = ["directory"] as const;
    await using store = await place.open();
    await using dead = startStoreProcess({
      directory: place.directory,
      steps: [
        { do: "prepare", image, owner: "kept", options: { accept }, write: "mine" },
        { do: "prepare", image, owner: "let go", options: { accept } },
        { do: "wait" },
      ],
    });
    expect(await dead.result(2)).toBe("waiting");
    await dead.kill();
    await store.releaseRootfs("let go");
    expect(await place.mounts()).toEqual([]);
    const { rootfs } = await store.prepareRootfs(image, "kept");
    expect(await readFile(join(changesOf(rootfs), "mine"), "utf8")).toBe("mine");
    await store.releaseRootfs("kept");
    expect(await place.mounts()).toEqual([]);
  });

  it("keep the data of an image that was removed, until they are released", async () => {
    await using dead = startStoreProcess({
      directory: place.directory,
      steps: [{ do: "prepare", image, owner: "owner" }, { do: "wait" }],
    });
    expect(await dead.result(1)).toBe("waiting");
    await dead.kill();
    await using store = await place.open();
    const id = (await store.listImages())[0]?.id ?? "";
    await store.removeImage({ image });
    expect(await blobsOf(place.directory)).toHaveLength(2);
    const { rootfs } = await store.prepareRootfs(id, "owner");
    expect(rootfs.kind).toBe("overlay");
    await store.releaseRootfs("owner");
    expect(await blobsOf(place.directory)).toEqual([]);
  });
});

describe("root filesystems of a process that runs", () => {
  it("are left alone by others that open the store, and not shared with them", async () => {
    const accept = ["directory"] as const;
    await using other = startStoreProcess({
      directory: place.directory,
      steps: [
        { do: "prepare", image, owner: "theirs", options: { accept }, write: "mine" },
        { do: "wait" },
      ],
    });
    const theirs = (await other.result(0)) as Rootfs;
    await using store = await place.open();
    expect(await store.listOwners()).toEqual(["theirs"]);
    expect(await readdir(changesOf(theirs))).toEqual(["content", "etc", "mine"]);
    await expect(store.prepareRootfs(image, "theirs")).rejects.toMatchObject({
      code: "STATE_CONFLICT",
    });
    expect(await readdir(changesOf(theirs))).toEqual(["content", "etc", "mine"]);
    const { rootfs } = await store.prepareRootfs(image, "ours", { accept });
    expect(await readdir(changesOf(rootfs))).toEqual(["content", "etc"]);
    await store.releaseRootfs("theirs");
    await store.releaseRootfs("ours");
    expect(await store.listOwners()).toEqual([]);
    expect((await store.verify()).problems).toEqual([]);
  });
});
