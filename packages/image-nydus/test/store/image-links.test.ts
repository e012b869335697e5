import { readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startServer } from "../registry/fake-registry.ts";
import { layerOf, writeOciImage } from "./oci-image.ts";
import { serveLayout } from "./serve-layout.ts";
import { namesIn, pull, storePlace, type StorePlace } from "./store-place.ts";

let place: StorePlace;

beforeEach(async () => {
  place = await storePlace();
});

afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

const layers = (text: string) => [layerOf({ version: text })];

/** What the links of a name lead to: an image's id, and the digest of its metadata. */
async function linksOf(repository: string, tag: string) {
  const ref = join(place.directory, "refs", repository, tag);
  const bootstrap = join(place.directory, "bootstrap", repository, `${tag}.meta`);
  const bytes = await readFile(bootstrap);
  return { id: await readlink(ref), magic: bytes.readUInt32LE(1_024).toString(16) };
}

describe("names of images", () => {
  it("are links to the image's metadata and id", async () => {
    const { id } = await writeOciImage(place.layout, "one", { layers: layers("1") });
    await using store = await place.open();
    await pull(store, place.source("one"));
    expect(await linksOf("localhost/app", "one")).toEqual({ id, magic: "e0f5e1e2" });
  });

  it("move to the newer image, which leaves the older one its digest", async () => {
    const older = await writeOciImage(place.layout, "main", { layers: layers("1") });
    await using server = await startServer(serveLayout(place.layout));
    await using store = await place.open();
    const name = `${server.host}/team/app`;
    await pull(store, `${name}:main`);
    expect(await store.listImages()).toMatchObject([
      { id: older.id, repoTags: [`${name}:main`], repoDigests: [`${name}@${older.manifest}`] },
    ]);
    const newer = await writeOciImage(place.layout, "main", { layers: layers("2") });
    await pull(store, `${name}:main`);
    const images = await store.listImages();
    expect(new Map(images.map((image) => [image.id, image]))).toEqual(
      new Map([
        [
          older.id,
          expect.objectContaining({ repoTags: [], repoDigests: [`${name}@${older.manifest}`] }),
        ],
        [
          newer.id,
          expect.objectContaining({
            repoTags: [`${name}:main`],
            repoDigests: [`${name}@${newer.manifest}`],
          }),
        ],
      ]),
    );
    expect(await linksOf(`${server.host}/team/app`, "main")).toMatchObject({ id: newer.id });
    const byDigest = `${name}@${older.manifest}`;
    expect((await store.imageStatus({ image: { image: byDigest } })).image?.id).toBe(older.id);
    // A digest wins over a tag.
    const both = `${name}:main@${older.manifest}`;
    expect((await store.imageStatus({ image: { image: both } })).image?.id).toBe(older.id);
  });

  it("leave an image without any when they move, which goes with the next clean-up", async () => {
    const older = await writeOciImage(place.layout, "main", { layers: layers("1") });
    await using store = await place.open();
    await pull(store, place.source("main"));
    const newer = await writeOciImage(place.layout, "main", { layers: layers("2") });
    await pull(store, place.source("main"));
    expect((await store.listImages()).map(({ id }) => id)).toEqual([newer.id]);
    expect(await store.collectGarbage()).toMatchObject({ images: [older.id], isDeferred: false });
    expect((await store.verify()).problems).toEqual([]);
  });

  it("are taken off one by one; the digest goes with the last tag, and the image with it", async () => {
    await writeOciImage(place.layout, "one", { layers: layers("1") });
    await writeOciImage(place.layout, "two", { layers: layers("1") });
    await using server = await startServer(serveLayout(place.layout));
    await using store = await place.open();
    const name = `${server.host}/app`;
    await pull(store, `${name}:one`);
    await pull(store, `${name}:two`);
    expect(await store.untag(`${name}:one`)).toBe(true);
    expect(await store.untag(`${name}:one`)).toBe(false);
    expect(await store.listImages()).toMatchObject([{ repoTags: [`${name}:two`] }]);
    expect(await namesIn(place.directory, "refs", server.host, "app")).toEqual(["two"]);
    expect(await store.untag(`${name}:two`)).toBe(true);
    expect(await store.listImages()).toEqual([]);
    expect(await namesIn(place.directory, "blobs/sha256")).toEqual([]);
  });

  it("may be such that the tag of one stands where the repository of another does", async () => {
    await writeOciImage(place.layout, "c", { layers: layers("1") });
    await using server = await startServer(serveLayout(place.layout));
    await using store = await place.open();
    const names = [`${server.host}/a:c`, `${server.host}/a/c:c`, `${server.host}/a/c.meta:c`];
    for (const name of names) await pull(store, name);
    const [image] = await store.listImages();
    expect(image?.repoTags).toEqual(names.toSorted((a, b) => (a < b ? -1 : 1)));
    for (const name of names) expect(await store.untag(name)).toBe(true);
    expect(await store.listImages()).toEqual([]);
  });
});
