import { mkdir, readdir, readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { isLongshoreError, type LongshoreError, type Rootfs } from "@longshore/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { NydusImageStore, NydusImageStoreOptions } from "../../src/index.ts";
import { sendBlob, startServer } from "../registry/fake-registry.ts";
import { endMark, paxEntry, tarEntry, type HeaderFields } from "../tar/tar-blocks.ts";
import {
  blobFile,
  digestOf,
  layerOf,
  noise,
  writeOciImage,
  type MadeImage,
  type MadeLayer,
} from "./oci-image.ts";
import { serveLayout } from "./serve-layout.ts";
import { blobsOf, namesIn, pull, storePlace, type StorePlace } from "./store-place.ts";

let place: StorePlace;
const good = layerOf({ "etc/": "", "etc/motd": "hello", noise: noise("good", 200_000) });

beforeEach(async () => {
  place = await storePlace();
  await writeOciImage(place.layout, "good", { layers: [good] });
});

afterEach(async () => {
  await place[Symbol.asyncDispose]();
});

function layer(...entries: readonly Buffer[]): MadeLayer {
  return { tar: Buffer.concat([...entries, endMark]) };
}

const file = (name: string, fields: HeaderFields = {}): Buffer =>
  tarEntry({ name, ...fields }, "content");
const hardlink = (name: string, linkName: string): Buffer =>
  tarEntry({ name, type: "1", linkName });
const symlink = (name: string, linkName: string): Buffer => tarEntry({ name, type: "2", linkName });

/** Pulls what must not work. @returns the error, after a look at what it has left behind */
async function refused(
  image: string,
  options: Partial<NydusImageStoreOptions> = {},
): Promise<LongshoreError> {
  await using store = await place.open(options);
  const goodId = await pull(store, place.source("good"));
  const before = await blobsOf(place.directory);
  const error: unknown = await pull(store, image).catch((failure: unknown) => failure);
  expect(await namesIn(place.directory, "ingest")).toEqual([]);
  expect(await blobsOf(place.directory)).toEqual(before);
  expect((await store.listImages()).map(({ id }) => id)).toEqual([goodId]);
  expect(await namesIn(place.directory, "refs/localhost/app")).toEqual(["good"]);
  expect(await store.collectGarbage()).toMatchObject({ images: [], blobs: 0, bytes: 0 });
  expect((await store.verify()).problems).toEqual([]);
  if (!isLongshoreError(error)) throw new Error("expected a clear error", { cause: error });
  return error;
}

async function refusedImage(
  image: MadeImage,
  options?: Partial<NydusImageStoreOptions>,
): Promise<LongshoreError> {
  // The configuration is what tells images apart.
  const config = { author: "bad", ...image.config };
  await writeOciImage(place.layout, "bad", { ...image, config });
  return refused(place.source("bad"), options);
}

describe("layers that are refused", () => {
  it.each<[string, MadeLayer, RegExp]>([
    ["a path that leads out", layer(file("../etc/passwd")), /\.\./],
    ["a path that leads out in the middle", layer(file("a/../../b")), /\.\./],
    ["a hard link that leads out", layer(file("a"), hardlink("b", "../../etc/passwd")), /\.\./],
    ["a hard link to what is only on the host", layer(hardlink("b", "/etc/passwd")), /missing/],
    ["a hard link to a directory", layer(file("d/a"), hardlink("b", "d")), /directory/],
    ["an entry under a file", layer(file("a"), file("a/b")), /no directory/],
    [
      "links that lead in a circle",
      layer(symlink("a", "b"), symlink("b", "a"), file("a/c")),
      /a\/c/,
    ],
    ["a root that is a file", layer(file("./", { type: "0" })), /root/],
    ["a name with a NUL", layer(paxEntry([["path", "a\0b"]]), file("x")), /NUL/],
    ["a name of 256 bytes", layer(paxEntry([["path", "n".repeat(256)]]), file("x")), /255/],
    [
      "a size that goes on for ever",
      layer(tarEntry({ name: "a", size: 8 ** 11 - 1 })),
      /end|cut|size/i,
    ],
    ["no tar archive at all", { tar: noise("no tar", 5_000) }, /header|tar|archive/i],
  ])("%s", async (_what, made, message) => {
    const error = await refusedImage({ layers: [good, made] });
    expect(error.code).toBe("VALIDATION_ERROR");
    expect(error.message).toMatch(message);
  });

  it.each<[string, Partial<MadeLayer>, RegExp]>([
    ["another diff id", { diffId: digestOf(Buffer.from("x")) }, /unpacks to/],
    ["another digest", { digest: digestOf(Buffer.from("x")) }, /sha256/],
    ["a smaller size", { size: 100 }, /100 bytes/],
    ["a larger size", { size: 1e9 }, /1000000000 bytes/],
  ])("with %s than it has", async (_what, wrong, message) => {
    const error = await refusedImage({ layers: [{ ...good, ...wrong }] });
    expect(error.code).toBe("IMAGE_CHECKSUM_MISMATCH");
    expect(error.message).toMatch(message);
  });

  it.each<[string, Buffer]>([
    ["cut off", gzipSync(good.tar).subarray(0, -300)],
    ["damaged", flipped(gzipSync(good.tar))],
  ])("whose packing is %s", async (_what, stored) => {
    const error = await refusedImage({ layers: [{ ...good, stored }] });
    expect(error.code).toBe("VALIDATION_ERROR");
    expect(error.message).toMatch(/damaged or cut off/);
  });

  it("with more entries, bytes or depth than allowed, by the name of the limit", async () => {
    const many = layer(...Array.from({ length: 300 }, (_, n) => file(`f${n}`)));
    const limits = { maxEntries: 100, maxFileBytes: 300_000, maxDepth: 5 };
    expect(await refusedImage({ layers: [many] }, { limits })).toMatchObject({
      code: "VALIDATION_ERROR",
      message: expect.stringContaining("100 entries"),
      details: { limit: "maxEntries" },
    });
    const large = layerOf({ large: noise("large", 400_000) });
    expect(await refusedImage({ layers: [large] }, { limits })).toMatchObject({
      code: "VALIDATION_ERROR",
      details: { limit: "maxFileBytes" },
    });
    expect(await refusedImage({ layers: [layer(file("d/".repeat(9)))] }, { limits })).toMatchObject(
      {
        code: "VALIDATION_ERROR",
        details: { limit: "maxDepth" },
      },
    );
  });

  it("with bytes behind the archive that are more than a limit allows", async () => {
    const tar = Buffer.concat([good.tar, Buffer.alloc(40_000_000)]);
    const limits = { maxFileBytes: 1_000_000, maxEntries: 1_000, maxMetadataBytes: 10_000 };
    const error = await refusedImage({ layers: [{ tar }] }, { limits });
    expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
    expect(error.message).toMatch(/larger than \d+ bytes uncompressed/);
  });
});

describe("images that are refused", () => {
  it("for other layers than the configuration names", async () => {
    const one = await refusedImage({ layers: [good, good], diffIds: [digestOf(good.tar)] });
    expect(one).toMatchObject({ code: "VALIDATION_ERROR", details: { layers: 2, diffIds: 1 } });
    const none = await refusedImage({ layers: [good], diffIds: [] });
    expect(none).toMatchObject({ code: "VALIDATION_ERROR", details: { layers: 1, diffIds: 0 } });
  });

  it.each([
    ["no JSON", "{ no JSON"],
    ["a list", "[]"],
    ["nothing", ""],
    ["deeper than anyone writes", "[".repeat(100_000)],
  ])("for a configuration that is %s", async (_what, text) => {
    const error = await refusedImage({ layers: [good], configBytes: Buffer.from(text) });
    expect(error.code).toBe("VALIDATION_ERROR");
    expect(error.message).toMatch(/config/);
  });

  it("for another platform", async () => {
    const error = await refusedImage({ layers: [good], config: { architecture: "s390x" } });
    expect(error.message).toMatch(/linux\/s390x/);
    expect(error.code).toBe("IMAGE_NOT_FOUND");
  });

  it("for a manifest that is not what its digest says", async () => {
    const { manifest } = await writeOciImage(place.layout, "bad", { layers: [] });
    await writeFile(blobFile(place.layout, manifest), '{"schemaVersion":2}');
    expect(await refused(place.source("bad"))).toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
  });

  it("for a registry that stops in the middle", async () => {
    const large = layerOf({ large: noise("large", 3_000_000) });
    await writeOciImage(place.layout, "slow", { layers: [large] });
    const answer = serveLayout(place.layout);
    await using server = await startServer(async (request, response) => {
      const digest = (request.url ?? "").split("/").at(-1) ?? "";
      const isBlob = request.url?.includes("/blobs/") === true;
      const bytes = isBlob ? await readFile(blobFile(place.layout, digest)) : Buffer.alloc(0);
      if (bytes.length < 50_000) return answer(request, response);
      // The rest never comes.
      response.writeHead(200, { "content-length": bytes.length }).write(bytes.subarray(0, 9_000));
    });
    const registry = { retries: 1, retryDelayMs: 1, requestTimeoutMs: 200, stallTimeoutMs: 200 };
    const error = await refused(`${server.host}/app:slow`, { registry });
    expect(error.code).toBe("IMAGE_PULL_FAILED");
  });

  it("for a registry that lies about the bytes of a layer", async () => {
    const answer = serveLayout(place.layout);
    await writeOciImage(place.layout, "bad", { layers: [layerOf({ x: noise("x", 90_000) })] });
    await using server = await startServer(async (request, response) => {
      const digest = (request.url ?? "").split("/").at(-1) ?? "";
      const isBlob = request.url?.includes("/blobs/") === true;
      const bytes = isBlob ? await readFile(blobFile(place.layout, digest)) : Buffer.alloc(0);
      if (bytes.length < 50_000) return answer(request, response);
      sendBlob(request, response, flipped(bytes));
    });
    const error = await refused(`${server.host}/app:bad`, { registry: { retries: 0 } });
    expect(error.code).toMatch(/IMAGE_CHECKSUM_MISMATCH|VALIDATION_ERROR/);
  });
});

describe("a layer that leads elsewhere by symlinks", () => {
  it.each([
    ["kernel", { kind: "overlay", options: {} }],
    ["plain directory", { kind: "directory", options: { mountMethods: [] } }],
  ] as const)("is put inside of its tree, as %s", async (_what, { kind, options }) => {
    const outside = join(place.path, "outside");
    await mkdir(outside);
    const up = "../".repeat(12) + outside.slice(1);
    const made = layer(
      symlink("absolute", outside),
      file("absolute/one"),
      symlink("d/relative", up),
      file("d/relative/two"),
      hardlink("three", `${outside}/one`),
      tarEntry({ name: "twice" }, "first"),
      tarEntry({ name: "twice" }, "second"),
    );
    await writeOciImage(place.layout, "odd", { layers: [made] });
    await using store = await place.open(options);
    const id = await pull(store, place.source("odd"));
    await using prepared = await store.prepareRootfs(id, "odd", { accept: [kind] });
    const { rootfs } = prepared;
    const root = rootfs.kind === "overlay" ? (rootfs.lower[0] ?? "") : pathOf(rootfs);
    expect(await readdir(outside)).toEqual([]);
    expect((await readdir(join(root, outside))).toSorted()).toEqual(["one", "two"]);
    expect(await readFile(join(root, "three"), "utf8")).toBe("content");
    expect(await readFile(join(root, "twice"), "utf8")).toBe("second");
    expect(await readlink(join(root, "absolute"))).toBe(outside);
    expect(await readlink(join(root, "d/relative"))).toBe(up);
  });
});

function pathOf(rootfs: Rootfs): string {
  return rootfs.kind === "directory" ? rootfs.path : "";
}

describe("a pull that is aborted", () => {
  it("leaves nothing, at whatever point of it", async () => {
    const layers = Array.from({ length: 5 }, (_, n) =>
      layerOf({ [`f${n}`]: noise(`${n}`, 90_000) }),
    );
    await writeOciImage(place.layout, "five", { layers });
    await using store = await place.open();
    await pull(store, place.source("good"));
    const before = await blobsOf(place.directory);
    let steps = 0;
    const image = { image: place.source("five") };
    for (let isDone = false; !isDone; steps += 1) {
      isDone = await pullUntil(store, image.image, steps);
      await expect.poll(() => namesIn(place.directory, "ingest")).toEqual([]);
      if (!isDone) expect(await blobsOf(place.directory)).toEqual(before);
    }
    expect(steps).toBeGreaterThan(5);
    expect(await store.listImages()).toHaveLength(2);
    expect((await store.verify()).problems).toEqual([]);
  });
});

/** Pulls and aborts at the report of progress of that number. @returns whether it was quicker */
async function pullUntil(store: NydusImageStore, image: string, steps: number): Promise<boolean> {
  const controller = new AbortController();
  let seen = 0;
  const onProgress = ({ phase }: { readonly phase: string }): void => {
    if (seen === steps && phase !== "done") controller.abort(new Error("enough"));
    seen += 1;
  };
  const { signal } = controller;
  try {
    await store.pullImage({ image: { image } }, { signal, onProgress });
    return true;
  } catch (error) {
    expect(error).toEqual(new Error("enough"));
    return false;
  }
}

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const middle = copy.length >> 1;
  copy[middle] = (copy[middle] ?? 0) ^ 0xff;
  return copy;
}
