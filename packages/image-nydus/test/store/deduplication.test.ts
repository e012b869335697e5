import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openMetrics } from "./open-metrics.ts";
import { layerOf, noise, writeOciImage, zstdLayer } from "./oci-image.ts";
import { blobsOf, pull, storePlace, type StorePlace } from "./store-place.ts";

let place: StorePlace;

beforeEach(async () => {
  place = await storePlace();
});

afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

const mebibyte = 1_048_576;
const shared = noise("shared", 3 * mebibyte);

describe("chunks are stored once", () => {
  it("across images, however their layers are cut and packed", async () => {
    const [first, second] = [noise("first", 50_000), noise("second", 60_000)];
    await writeOciImage(place.layout, "one", {
      layers: [layerOf({ "lib/big": shared, "app-1": first })],
    });
    await writeOciImage(place.layout, "two", {
      layers: [zstdLayer(layerOf({ "app-2": second })), layerOf({ "opt/elsewhere": shared })],
    });
    const { meterProvider, read } = openMetrics();
    await using store = await place.open({ meterProvider });
    await pull(store, place.source("one"));
    const { storedBytes: before } = await store.diskUsage();
    await pull(store, place.source("two"));
    const usage = await store.diskUsage();
    expect(usage.storedBytes - before).toBeLessThan(200_000);
    expect(usage.dedupRatio).toBeGreaterThan(1.8);
    expect(usage.images.map(({ sharedBytes }) => sharedBytes >= shared.length)).toEqual([
      true,
      true,
    ]);
    expect(await read("image_chunks_total")).toEqual({ hit: 3, miss: 5 });
    expect(await store.diff("localhost/app:one", "localhost/app:two")).toEqual({
      sharedChunks: 3,
      sharedBytes: shared.length,
      firstOnlyChunks: 1,
      firstOnlyBytes: first.length,
      secondOnlyChunks: 1,
      secondOnlyBytes: second.length,
    });
    expect((await store.verify()).problems).toEqual([]);
  });

  it("within one image, under several names and at several places of a file", async () => {
    const part = noise("part", mebibyte);
    const layers = [
      layerOf({ a: part, b: part, c: Buffer.concat([part, part, part]) }),
      layerOf({ "later/d": part }),
    ];
    await writeOciImage(place.layout, "one", { layers });
    await using store = await place.open();
    await pull(store, place.source("one"));
    const { logicalBytes, storedBytes } = await store.diskUsage();
    expect(logicalBytes).toBe(6 * mebibyte);
    expect(storedBytes).toBeLessThan(1.1 * mebibyte);
  });

  it("and are whole in every image after the one that brought them is gone", async () => {
    await writeOciImage(place.layout, "one", { layers: [layerOf({ big: shared, only: "1" })] });
    await writeOciImage(place.layout, "two", { layers: [layerOf({ big: shared, other: "2" })] });
    await using store = await place.open();
    await pull(store, place.source("one"));
    await pull(store, place.source("two"));
    await store.removeImage({ image: "localhost/app:one" });
    expect((await store.verify()).problems).toEqual([]);
    await using rootfs = await store.prepareRootfs("localhost/app:two", "owner", {
      accept: ["directory"],
      readonly: true,
    });
    const path = rootfs.rootfs.kind === "directory" ? rootfs.rootfs.path : "";
    expect((await readFile(join(path, "big"))).equals(shared)).toBe(true);
    await store.removeImage({ image: "localhost/app:two" });
  });
});

describe("the same image gives the same files", () => {
  it("in every new store, whatever the layers' speed and packing", async () => {
    const layers = Array.from({ length: 6 }, (_, n) =>
      layerOf({
        [`dir-${n}/`]: "",
        [`dir-${n}/noise`]: noise(`${n}`, 700_000 + n * 99_999),
        [`dir-${n}/shared`]: shared,
        common: `layer ${n}`,
      }),
    );
    await writeOciImage(place.layout, "gzip", { layers });
    await writeOciImage(place.layout, "zstd", { layers: layers.map(zstdLayer) });
    const contents: (readonly string[])[] = [];
    for (const [n, tag] of ["gzip", "gzip", "zstd"].entries()) {
      const directory = join(place.path, `store-${n}`);
      await using store = await place.open({ directory, parallelLayers: n + 1 });
      await pull(store, place.source(tag));
      // The names are digests of the bytes, as verify finds.
      expect((await store.verify()).problems).toEqual([]);
      contents.push(await blobsOf(directory));
    }
    expect(contents[0]).toHaveLength(2);
    expect(contents[1]).toEqual(contents[0]);
    expect(contents[2]).toEqual(contents[0]);
  });

  it("in one store before and after it was removed", async () => {
    await writeOciImage(place.layout, "one", { layers: [layerOf({ big: shared })] });
    await using store = await place.open();
    await pull(store, place.source("one"));
    const before = await blobsOf(place.directory);
    await store.removeImage({ image: "localhost/app:one" });
    expect(await blobsOf(place.directory)).toEqual([]);
    await pull(store, place.source("one"));
    expect(await blobsOf(place.directory)).toEqual(before);
  });
});
