import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { endMark, tarEntry } from "../tar/tar-blocks.ts";
import { layerOf, noise, writeOciImage } from "./oci-image.ts";
import { blobsOf, namesIn, pull, storePlace, type StorePlace } from "./store-place.ts";

const run = promisify(execFile);
let place: StorePlace;

/** Symlinks of which each needs two hundred bytes beside its inode: a layer without any data. */
function longNames(count: number): Buffer {
  const headers = Array.from({ length: count }, (_, number) => {
    const text = String(number).padStart(99, "n");
    return tarEntry({ name: text, type: "2", linkName: text });
  });
  return Buffer.concat([...headers, endMark]);
}

beforeEach(async () => {
  place = await storePlace();
  await mkdir(place.directory);
  await run("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", place.directory]);
});

afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

describe("a disk that is full", () => {
  it("ends a pull with an error that says so, and leaves the store as it was", async () => {
    const small = layerOf({ small: noise("small", 500_000) });
    const large = layerOf({ large: noise("large", 8_000_000) });
    await writeOciImage(place.layout, "small", { layers: [small] });
    await writeOciImage(place.layout, "large", { layers: [large] });
    await writeOciImage(place.layout, "behind", { layers: [small, large, small] });
    await using store = await place.open();
    const id = await pull(store, place.source("small"));
    const before = await blobsOf(place.directory);
    for (const tag of ["large", "behind"]) {
      await expect(pull(store, place.source(tag))).rejects.toMatchObject({
        code: "IO_ERROR",
        message: expect.stringContaining("ENOSPC"),
      });
      expect(await namesIn(place.directory, "ingest")).toEqual([]);
      expect(await blobsOf(place.directory)).toEqual(before);
    }
    expect((await store.listImages()).map((image) => image.id)).toEqual([id]);
    expect((await store.verify()).problems).toEqual([]);
    await store.removeImage({ image: id });
    expect(await pull(store, place.source("small"))).toBe(id);
  });

  it("ends a pull whose names of files alone have no room", async () => {
    const layers = [layerOf({ small: noise("small", 500_000) })];
    await writeOciImage(place.layout, "small", { layers });
    await writeOciImage(place.layout, "names", { layers: [{ tar: longNames(75_000) }] });
    await using store = await place.open();
    const id = await pull(store, place.source("small"));
    await expect(pull(store, place.source("names"))).rejects.toMatchObject({
      code: "IO_ERROR",
      message: expect.stringContaining("ENOSPC"),
    });
    expect(await namesIn(place.directory, "ingest")).toEqual([]);
    expect((await store.listImages()).map((image) => image.id)).toEqual([id]);
    expect((await store.verify()).problems).toEqual([]);
  });

  it("ends the making of a root filesystem in the same way", async () => {
    await writeOciImage(place.layout, "one", { layers: [layerOf({ a: noise("a", 3_500_000) })] });
    await using store = await place.open({ mountMethods: [] });
    const id = await pull(store, place.source("one"));
    await expect(store.prepareRootfs(id, "owner")).rejects.toMatchObject({
      code: "IO_ERROR",
      message: expect.stringContaining("ENOSPC"),
    });
    expect(await store.listOwners()).toEqual([]);
    expect(await namesIn(place.directory, "mounts/owners")).toEqual([]);
  });
});
