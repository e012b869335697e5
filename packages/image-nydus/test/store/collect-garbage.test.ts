import { readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memoryEventBus } from "@longshore/core";
import { startServer } from "../registry/fake-registry.ts";
import { layerOf, noise, writeOciImage } from "./oci-image.ts";
import { serveLayout } from "./serve-layout.ts";
import { startStoreProcess } from "./start-store-process.ts";
import { blobsOf, namesIn, pull, storePlace, type StorePlace } from "./store-place.ts";

let place: StorePlace;

beforeEach(async () => {
  place = await storePlace();
  await writeOciImage(place.layout, "one", { layers: [layerOf({ one: noise("1", 100_000) })] });
  await writeOciImage(place.layout, "two", { layers: [layerOf({ two: noise("2", 100_000) })] });
});

afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

describe("cleaning up", () => {
  it("finds nothing to do in a store where everything is used", async () => {
    await using store = await place.open();
    await pull(store, place.source("one"));
    const before = await blobsOf(place.directory);
    expect(await store.collectGarbage()).toEqual({
      images: [],
      blobs: 0,
      bytes: 0,
      isDeferred: false,
    });
    expect(await blobsOf(place.directory)).toEqual(before);
  });

  it("deletes what interrupted pulls have left", async () => {
    await using store = await place.open();
    await pull(store, place.source("one"));
    const before = await blobsOf(place.directory);
    await writeFile(join(place.directory, "ingest", "left"), Buffer.alloc(50_000, 1));
    await writeFile(join(place.directory, "blobs/sha256", "a".repeat(64)), Buffer.alloc(9_000, 1));
    const { blobs, bytes } = await store.collectGarbage();
    expect(blobs).toBe(1);
    expect(bytes).toBeGreaterThanOrEqual(59_000);
    expect(await namesIn(place.directory, "ingest")).toEqual([]);
    expect(await blobsOf(place.directory)).toEqual(before);
  });

  it("puts links right that a crash has left wrong, missing or behind", async () => {
    await using store = await place.open();
    const id = await pull(store, place.source("one"));
    const refs = join(place.directory, "refs/localhost/app");
    const bootstraps = join(place.directory, "bootstrap/localhost/app");
    await rm(join(refs, "one"));
    await symlink("sha256:gone", join(refs, "old"));
    await symlink("sha256:gone", join(refs, "one.4d2ff5ee"));
    await rm(join(bootstraps, "one.meta"));
    await symlink("../../../blobs/sha256/gone", join(bootstraps, "one.meta"));
    await store.collectGarbage();
    expect(await readdir(refs)).toEqual(["one"]);
    expect(await readdir(bootstraps)).toEqual(["one.meta"]);
    expect((await readFile(join(bootstraps, "one.meta"))).length).toBeGreaterThan(4_096);
    await store.removeImage({ image: id });
    expect(await namesIn(place.directory, "refs")).toEqual([]);
    expect(await namesIn(place.directory, "bootstrap")).toEqual([]);
  });

  it("keeps the data of a removed image while someone has a root filesystem of it", async () => {
    await using events = memoryEventBus();
    await using heard = events.subscribe("image.*.removed");
    await using store = await place.open({ events });
    const id = await pull(store, place.source("one"));
    const { rootfs } = await store.prepareRootfs(id, "owner", { accept: ["directory"] });
    const path = rootfs.kind === "directory" ? rootfs.path : "";
    await store.removeImage({ image: id });
    expect(await store.listImages()).toEqual([]);
    expect(await store.imageStatus({ image: { image: id } })).toEqual({});
    await expect(store.prepareRootfs(id, "another")).rejects.toMatchObject({
      code: "IMAGE_NOT_FOUND",
    });
    expect((await readFile(join(path, "one"))).equals(noise("1", 100_000))).toBe(true);
    await store.releaseRootfs("owner");
    expect(await blobsOf(place.directory)).toEqual([]);
    await events[Symbol.asyncDispose]();
    const subjects: string[] = [];
    for await (const { subject } of heard) subjects.push(subject);
    expect(subjects).toEqual([id]);
  });

  it("waits while this process pulls, and is made up for when that is done", async () => {
    const gate = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const answer = serveLayout(place.layout);
    await using server = await startServer(async (request, response) => {
      reached.resolve();
      await gate.promise;
      await answer(request, response);
    });
    await using store = await place.open();
    await pull(store, place.source("one"));
    const pulled = pull(store, `${server.host}/app:two`);
    await reached.promise;
    expect(await store.collectGarbage()).toMatchObject({ isDeferred: true });
    await store.removeImage({ image: "localhost/app:one" });
    expect(await store.listImages()).toEqual([]);
    expect(await blobsOf(place.directory)).toHaveLength(2);
    gate.resolve();
    const id = await pulled;
    expect((await store.listImages()).map((image) => image.id)).toEqual([id]);
    expect(await blobsOf(place.directory)).toHaveLength(2);
    expect((await store.verify()).problems).toEqual([]);
  });

  it("waits while another process pulls, but not for one that is dead", async () => {
    await using store = await place.open();
    const id = await pull(store, place.source("one"));
    const { directory } = place;
    await using other = startStoreProcess({
      directory,
      steps: [{ do: "hold-lease" }, { do: "wait" }],
    });
    expect(await other.result(0)).toBe(true);
    await store.removeImage({ image: id });
    expect(await store.collectGarbage()).toMatchObject({ isDeferred: true, blobs: 0 });
    expect(await blobsOf(directory)).toHaveLength(2);
    await other.kill();
    expect(await store.collectGarbage()).toMatchObject({ images: [id], blobs: 2 });
    expect(await blobsOf(directory)).toEqual([]);
  });
});
