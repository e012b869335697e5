import { open, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startServer } from "../registry/fake-registry.ts";
import { layerOf, noise, writeOciImage } from "./oci-image.ts";
import { serveLayout } from "./serve-layout.ts";
import { blobsOf, pull, storePlace, type StorePlace } from "./store-place.ts";
import type { NydusImageStore } from "../../src/index.ts";

let place: StorePlace;

beforeEach(async () => {
  place = await storePlace();
  const shared = noise("shared", 300_000);
  await writeOciImage(place.layout, "one", { layers: [layerOf({ shared, one: "1" })] });
  await writeOciImage(place.layout, "two", {
    layers: [layerOf({ shared, two: noise("2", 9_000) })],
  });
});

afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

async function flipBit(path: string, offset: number): Promise<void> {
  await using file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, offset);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await file.write(byte, 0, 1, offset);
}

const blobPath = (blobId: string): string => join(place.directory, "blobs/sha256", blobId);

/** Bootstrap and data blob of the image that was pulled first. */
async function blobsOfFirst(store: NydusImageStore) {
  const { record, filesystem } = await store.inspect("localhost/app:one");
  return { bootstrap: record.bootstrapId, data: filesystem.blobs[0]?.id ?? "" };
}

async function assertWhole(store: NydusImageStore): Promise<void> {
  expect((await store.verify()).problems).toEqual([]);
  for (const tag of ["one", "two"]) {
    await using prepared = await store.prepareRootfs(`localhost/app:${tag}`, `check-${tag}`, {
      accept: ["directory"],
    });
    const path = prepared.rootfs.kind === "directory" ? prepared.rootfs.path : "";
    expect((await readFile(join(path, "shared"))).equals(noise("shared", 300_000))).toBe(true);
  }
}

describe("verify", () => {
  it("finds a whole store whole, and tells how far it is", async () => {
    await using store = await place.open();
    await pull(store, place.source("one"));
    await pull(store, place.source("two"));
    const seen: number[] = [];
    const report = await store.verify({
      onProgress: ({ checkedBytes, totalBytes }) => seen.push(checkedBytes / totalBytes),
    });
    expect(report).toMatchObject({ checkedBlobs: 4, problems: [] });
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);
  });

  it("names what is wrong and the images that need it", async () => {
    await using store = await place.open();
    const one = await pull(store, place.source("one"));
    const two = await pull(store, place.source("two"));
    const { bootstrap, data } = await blobsOfFirst(store);
    await flipBit(blobPath(data), 123_456);
    expect((await store.verify()).problems).toEqual([
      {
        blobId: data,
        kind: "data",
        problem: "changed",
        message: expect.stringMatching(/^The file's sha256 is [0-9a-f]{64}\.$/),
        images: expect.arrayContaining([one, two]),
      },
    ]);
    await flipBit(blobPath(data), 123_456);
    await flipBit(blobPath(bootstrap), 5_000);
    expect((await store.verify()).problems).toMatchObject([
      { blobId: bootstrap, kind: "bootstrap", problem: "changed", images: [one] },
    ]);
    await rm(blobPath(bootstrap));
    expect((await store.verify()).problems).toMatchObject([
      { blobId: bootstrap, kind: "bootstrap", problem: "missing", images: [one] },
    ]);
  });

  it("stops when it is aborted", async () => {
    await using store = await place.open();
    await pull(store, place.source("one"));
    const reason = new Error("enough");
    await expect(store.verify({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe("repair", () => {
  it("does nothing to a whole store", async () => {
    await using store = await place.open();
    await pull(store, place.source("one"));
    expect(await store.repair()).toMatchObject({ found: { problems: [] }, images: [] });
  });

  it.each(["changed", "missing", "cut off"] as const)(
    "fetches every image again whose data is %s",
    async (how) => {
      await using store = await place.open();
      const one = await pull(store, place.source("one"));
      const two = await pull(store, place.source("two"));
      const { data } = await blobsOfFirst(store);
      if (how === "changed") await flipBit(blobPath(data), 4_000);
      else if (how === "missing") await rm(blobPath(data));
      else await writeFile(blobPath(data), (await readFile(blobPath(data))).subarray(0, 10_000));
      const { found, images } = await store.repair();
      expect(found.problems).toHaveLength(1);
      expect(images.map(({ imageId, problem }) => [imageId, problem])).toEqual(
        expect.arrayContaining([
          [one, undefined],
          [two, undefined],
        ]),
      );
      await assertWhole(store);
    },
  );

  it("fetches an image again whose metadata is broken, without its data", async () => {
    await using store = await place.open();
    await pull(store, place.source("one"));
    await pull(store, place.source("two"));
    const before = await blobsOf(place.directory);
    const { bootstrap } = await blobsOfFirst(store);
    await flipBit(blobPath(bootstrap), 5_000);
    await store.repair();
    await assertWhole(store);
    expect(await blobsOf(place.directory)).toEqual(before);
  });

  it("gets the same image by its digest when the tag has moved, and leaves the tag", async () => {
    await using server = await startServer(serveLayout(place.layout));
    await using store = await place.open();
    const older = await pull(store, `${server.host}/app:one`);
    const { data } = await blobsOfImage(store, older);
    await rm(blobPath(data));
    const manifest = await readFile(join(place.layout, "index.json"), "utf8");
    await writeOciImage(place.layout, "one", { layers: [layerOf({ new: "new" })] });
    // A registry keeps manifests that no tag leads to.
    await keepOldManifests(manifest);
    expect((await store.repair()).images).toMatchObject([{ imageId: older }]);
    expect((await store.verify()).problems).toEqual([]);
    const { image } = await store.imageStatus({ image: { image: `${server.host}/app:one` } });
    expect(image?.id).toBe(older);
  });

  it("says which images it cannot fetch again, and why", async () => {
    await using store = await place.open();
    const one = await pull(store, place.source("one"));
    const { data } = await blobsOfFirst(store);
    await rm(blobPath(data));
    await writeOciImage(place.layout, "one", { layers: [layerOf({ new: "new" })] });
    const { images } = await store.repair();
    expect(images).toEqual([
      {
        imageId: one,
        origin: place.source("one"),
        problem: expect.stringContaining("is another image now: sha256:"),
      },
    ]);
    await rm(join(place.layout, "index.json"));
    expect((await store.repair()).images).toMatchObject([
      { imageId: one, problem: expect.stringContaining("index.json") },
    ]);
  });
});

async function blobsOfImage(store: NydusImageStore, id: string) {
  const { filesystem } = await store.inspect(id);
  return { data: filesystem.blobs[0]?.id ?? "" };
}

async function keepOldManifests(older: string): Promise<void> {
  const file = join(place.layout, "index.json");
  const parse = (text: string): { readonly manifests: readonly object[] } =>
    JSON.parse(text) as { readonly manifests: readonly object[] };
  const untagged = parse(older).manifests.map((entry) => Object.assign(entry, { annotations: {} }));
  const { manifests } = parse(await readFile(file, "utf8"));
  await writeFile(file, JSON.stringify({ manifests: [...manifests, ...untagged] }));
}
