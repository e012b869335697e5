import { lstat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf, layerOf, writeOciImage } from "./oci-image.ts";
import { blobsOf, namesIn, pull, storePlace, type StorePlace } from "./store-place.ts";

let place: StorePlace;

beforeEach(async () => {
  place = await storePlace();
});

afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

/** Two configurations whose digests begin with the same four digits. */
function configsThatBeginAlike(): readonly [Buffer, Buffer] {
  const seen = new Map<string, Buffer>();
  for (let n = 0; ; n += 1) {
    const rootfs = { type: "layers", diff_ids: [] };
    const text = JSON.stringify({ os: "linux", architecture: "amd64", author: `${n}`, rootfs });
    const bytes = Buffer.from(text);
    const beginning = digestOf(bytes).slice(7, 11);
    const twin = seen.get(beginning);
    if (twin !== undefined) return [twin, bytes];
    seen.set(beginning, bytes);
  }
}

const hello = layerOf({ "etc/": "", "etc/motd": "hello", "etc/issue": "x".repeat(5_000) });

describe("the image store answers as the CRI says", () => {
  it("lists nothing, and knows of no image, when it is empty", async () => {
    await using store = await place.open();
    expect(await store.listImages()).toEqual([]);
    expect(await store.listImages({ image: { image: "alpine" } })).toEqual([]);
    expect(await store.imageStatus({ image: { image: "alpine" } })).toEqual({});
    const { imageFilesystems, containerFilesystems } = await store.imageFsInfo();
    expect(imageFilesystems).toMatchObject([
      { fsId: { mountpoint: place.directory }, usedBytes: 0, inodesUsed: 0 },
    ]);
    expect(containerFilesystems).toEqual([]);
  });

  it("tells the same of an image in a list, by name and by id", async () => {
    const config = { config: { User: "1000:1000" } };
    const made = await writeOciImage(place.layout, "one", { layers: [hello], config });
    await using store = await place.open();
    const id = await pull(store, place.source("one"));
    expect(id).toBe(made.id);
    const image = {
      id,
      repoTags: ["localhost/app:one"],
      repoDigests: [],
      size: 5_005,
      uid: 1000,
      spec: { image: made.manifest },
      pinned: false,
    };
    expect(await store.listImages()).toEqual([image]);
    const texts = ["localhost/app:one", id, id.slice("sha256:".length), id.slice(7, 20)];
    for (const text of texts) {
      expect(await store.listImages({ image: { image: text } })).toEqual([image]);
      expect(await store.imageStatus({ image: { image: text } })).toEqual({ image });
    }
    expect(await store.listImages({ image: { image: "" } })).toEqual([image]);
    expect(await store.listImages({ image: { image: "localhost/app:two" } })).toEqual([]);
  });

  it("completes names as Docker does", async () => {
    await writeOciImage(place.layout, "docker.io/library/alpine:latest", { layers: [hello] });
    await using store = await place.open();
    const id = await pull(store, place.source("docker.io/library/alpine:latest"));
    for (const text of ["alpine", "alpine:latest", "library/alpine", "docker.io/alpine"]) {
      const { image } = await store.imageStatus({ image: { image: text } });
      expect(image).toMatchObject({ id, repoTags: ["docker.io/library/alpine:latest"] });
    }
    await store.removeImage({ image: "alpine" });
    expect(await store.listImages()).toEqual([]);
  });

  it("says what is wrong with a reference that is none", async () => {
    await using store = await place.open();
    const image = { image: "UPPER/Case" };
    const refused = expect.objectContaining({ code: "VALIDATION_ERROR" });
    await expect(store.listImages({ image })).rejects.toEqual(refused);
    await expect(store.imageStatus({ image })).rejects.toEqual(refused);
    await expect(store.pullImage({ image })).rejects.toEqual(refused);
    await expect(store.removeImage(image)).rejects.toEqual(refused);
  });

  it("refuses a beginning that several ids have", async () => {
    await using store = await place.open();
    const twins = configsThatBeginAlike();
    for (const [n, configBytes] of twins.entries()) {
      await writeOciImage(place.layout, `n${n}`, { layers: [], configBytes });
      await pull(store, place.source(`n${n}`));
    }
    const [first = "", second = ""] = twins.map((bytes) => digestOf(bytes).slice(7));
    await expect(store.imageStatus({ image: { image: first.slice(0, 4) } })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
      details: { candidates: [first, second].toSorted().map((hex) => `sha256:${hex}`) },
    });
    const { image } = await store.imageStatus({ image: { image: second.slice(0, 20) } });
    expect(image?.id).toBe(`sha256:${second}`);
  });

  it.each([
    ["daemon:wheel", { username: "daemon" }],
    ["0", { uid: 0 }],
    ["1000", { uid: 1000 }],
  ])("tells the user %s as the CRI does", async (user, expected) => {
    await writeOciImage(place.layout, "one", {
      layers: [hello],
      config: { config: { User: user } },
    });
    await using store = await place.open();
    await pull(store, place.source("one"));
    const [image] = await store.listImages();
    const { uid, username } = image ?? {};
    expect({ uid, username }).toEqual({ uid: undefined, username: undefined, ...expected });
  });

  it("says nothing of the user of an image that says nothing, and gives an empty image a size", async () => {
    await writeOciImage(place.layout, "one", { layers: [layerOf({ "dir/": "" })] });
    await using store = await place.open();
    await pull(store, place.source("one"));
    const [image] = await store.listImages();
    expect(image).not.toHaveProperty("uid");
    expect(image).not.toHaveProperty("username");
    expect(image?.size).toBe(1);
  });

  it("pulls an image without layers", async () => {
    const made = await writeOciImage(place.layout, "scratch", { layers: [] });
    await using store = await place.open();
    expect(await pull(store, place.source("scratch"))).toBe(made.id);
    expect(await store.verify()).toMatchObject({ checkedBlobs: 1, problems: [] });
  });

  it("shows the configuration and the manifest as JSON when asked for more", async () => {
    const made = await writeOciImage(place.layout, "one", {
      layers: [hello],
      config: { config: { Env: ["A=b"] } },
    });
    await using store = await place.open();
    await pull(store, place.source("one"));
    const image = { image: "localhost/app:one" };
    const { info = {} } = await store.imageStatus({ image, verbose: true });
    const parsed = Object.fromEntries(
      Object.entries(info).map(([key, value]) => [key, JSON.parse(value)]),
    );
    expect(parsed).toMatchObject({
      config: { architecture: "amd64", config: { Env: ["A=b"] } },
      manifest: { config: { digest: made.id } },
      origin: place.source("one"),
    });
    expect(await store.imageStatus({ image })).not.toHaveProperty("info");
  });

  it("measures what the files of the store take", async () => {
    await writeOciImage(place.layout, "one", { layers: [hello] });
    await using store = await place.open();
    await pull(store, place.source("one"));
    const names = await blobsOf(place.directory);
    let bytes = 0;
    for (const name of names) {
      bytes += (await lstat(join(place.directory, "blobs/sha256", name))).blocks * 512;
    }
    const before = Date.now() * 1e6;
    const { imageFilesystems } = await store.imageFsInfo();
    expect(imageFilesystems).toMatchObject([{ usedBytes: bytes, inodesUsed: names.length }]);
    expect(Number(imageFilesystems[0]?.timestamp)).toBeGreaterThanOrEqual(before);
  });

  it("removes an image with all its names, its files and its links, as often as asked to", async () => {
    await writeOciImage(place.layout, "one", { layers: [hello] });
    await writeOciImage(place.layout, "two", { layers: [hello] });
    await using store = await place.open();
    const id = await pull(store, place.source("one"));
    expect(await pull(store, place.source("two"))).toBe(id);
    expect(await store.listImages()).toMatchObject([
      { repoTags: ["localhost/app:one", "localhost/app:two"] },
    ]);
    await store.removeImage({ image: "localhost/app:two" });
    await store.removeImage({ image: "localhost/app:two" });
    await store.removeImage({ image: id });
    expect(await store.listImages()).toEqual([]);
    expect(await store.imageStatus({ image: { image: id } })).toEqual({});
    expect(await blobsOf(place.directory)).toEqual([]);
    expect(await namesIn(place.directory, "refs/localhost/app")).toEqual([]);
    expect(await namesIn(place.directory, "bootstrap/localhost/app")).toEqual([]);
    expect(await pull(store, place.source("one"))).toBe(id);
  });

  it("keeps a pinned image through every clean-up, and says that it is pinned", async () => {
    await writeOciImage(place.layout, "one", { layers: [hello] });
    await using store = await place.open();
    const id = await pull(store, place.source("one"));
    await store.pin(id, true);
    await store.collectGarbage();
    expect(await store.listImages()).toMatchObject([{ id, pinned: true }]);
    await store.pin("localhost/app:one", false);
    expect(await store.listImages()).toMatchObject([{ id, pinned: false }]);
    await expect(store.pin("localhost/app:none", true)).rejects.toMatchObject({
      code: "IMAGE_NOT_FOUND",
    });
  });

  it("stays as it is when it is closed and opened again", async () => {
    await writeOciImage(place.layout, "one", { layers: [hello] });
    {
      await using store = await place.open();
      await pull(store, place.source("one"));
    }
    await using store = await place.open();
    expect(await store.listImages()).toMatchObject([{ repoTags: ["localhost/app:one"] }]);
    await store[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    const calls: readonly (() => Promise<unknown>)[] = [
      () => store.listImages(),
      () => store.imageStatus({ image: { image: "a" } }),
      () => pull(store, "oci:x"),
      () => store.removeImage({ image: "a" }),
      () => store.imageFsInfo(),
      () => store.collectGarbage(),
      () => store.verify(),
      () => store.prepareRootfs("a", "owner"),
      () => store.listOwners(),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "IO_ERROR" });
  });

  it("does nothing for a caller that has aborted", async () => {
    await writeOciImage(place.layout, "one", { layers: [hello] });
    await using store = await place.open();
    const reason = new Error("changed my mind");
    const options = { signal: AbortSignal.abort(reason) };
    const image = { image: place.source("one") };
    await expect(store.pullImage({ image }, options)).rejects.toBe(reason);
    await expect(store.listImages({}, options)).rejects.toBe(reason);
    await expect(store.imageStatus({ image: { image: "a" } }, options)).rejects.toBe(reason);
    await expect(store.removeImage({ image: "a" }, options)).rejects.toBe(reason);
    await expect(store.imageFsInfo(options)).rejects.toBe(reason);
    expect(await store.listImages()).toEqual([]);
  });
});
