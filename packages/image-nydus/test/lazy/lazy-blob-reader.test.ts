import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { accessRecorder } from "../../src/lazy/access-recorder.ts";
import {
  lazyBlobReader,
  type LazyBlobReader,
  type LazyBlobReaderOptions,
} from "../../src/lazy/lazy-blob-reader.ts";
import { removeLazyFiles } from "../../src/lazy/lazy-files.ts";
import { readPrefetchList } from "../../src/lazy/prefetch-list.ts";
import { writeBlob, type BlobFixture } from "./blob-fixture.ts";
import { bytes, exact, lazySource, scratchDirectory } from "./lazy-fixture.ts";
import { startRangeServer, type RangeServer } from "./range-server.ts";

interface ImageFixture extends AsyncDisposable {
  readonly one: BlobFixture;
  readonly two: BlobFixture;
  readonly servers: readonly [RangeServer, RangeServer];
  readonly directory: string;
  open(options?: Partial<LazyBlobReaderOptions>): LazyBlobReader;
}

async function imageFixture(): Promise<ImageFixture> {
  const scratch = await scratchDirectory();
  const sizes = Array.from({ length: 30 }, () => 20_000);
  const one = await writeBlob(sizes, { seed: 1 });
  const two = await writeBlob(sizes, { seed: 2 });
  const servers = [await startRangeServer(one.stored), await startRangeServer(two.stored)] as const;
  const blobs = [lazySource(one, servers[0]), lazySource(two, servers[1])];
  return {
    one,
    two,
    servers,
    directory: scratch.path,
    open: (options) => lazyBlobReader({ directory: scratch.path, blobs, ...exact, ...options }),
    async [Symbol.asyncDispose]() {
      for (const server of servers) await server[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

async function readChunk(reader: LazyBlobReader, blob: BlobFixture, chunk: number): Promise<void> {
  const target = Buffer.alloc(100);
  const offset = blob.offsets[chunk] ?? 0;
  await reader.read(blob.blob.id, offset, target);
  expect(target).toSatisfy(bytes(blob.plain.subarray(offset, offset + 100)));
}

describe("lazyBlobReader", () => {
  it("reads from several blobs and opens only those that are read", async () => {
    await using image = await imageFixture();
    await using reader = image.open();
    await Promise.all([0, 5, 9].map((chunk) => readChunk(reader, image.one, chunk)));
    expect(image.servers[1].requests).toEqual([]);
    await readChunk(reader, image.two, 3);
    expect(reader.stats()).toMatchObject({ reads: 4, misses: 4, hits: 0, failedReads: 0 });
    const { id } = image.two.blob;
    await expect.poll(async () => (await reader.status(id)).readyCount).toBe(1);
    await readChunk(reader, image.two, 3);
    expect(reader.stats().hits).toBe(1);
    const sent = image.servers.flatMap(({ requests }) => requests);
    expect(reader.stats().requests).toBe(sent.length);
    expect(reader.stats().fetchedBytes).toBe(sent.reduce((sum, { length }) => sum + length, 0));
  });

  it("rejects with NOT_FOUND for a blob of another image", async () => {
    await using image = await imageFixture();
    await using reader = image.open();
    await expect(reader.complete("0".repeat(64))).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(reader.read("0".repeat(64), 0, Buffer.alloc(1))).rejects.toMatchObject({
      code: "IO_ERROR",
    });
  });

  it("tries to open a blob again after it failed", async () => {
    await using image = await imageFixture();
    await using reader = image.open({ retries: 0 });
    image.servers[0].faults.push("unavailable");
    await expect(readChunk(reader, image.one, 1)).rejects.toMatchObject({ code: "IO_ERROR" });
    await readChunk(reader, image.one, 1);
  });

  it("completes one blob and says so", async () => {
    await using image = await imageFixture();
    await using reader = image.open();
    const { id } = image.one.blob;
    await reader.complete(id);
    const status = await reader.status(id);
    expect(status).toMatchObject({ chunkCount: 30, readyCount: 30, isComplete: true });
    expect(await readFile(status.dataPath)).toSatisfy(bytes(image.one.plain));
    expect(await reader.verify(id)).toEqual({ checked: 30, damaged: [] });
    expect((await reader.status(image.two.blob.id)).readyCount).toBe(0);
  });

  it("removes all files of a blob", async () => {
    await using image = await imageFixture();
    const reader = image.open();
    await readChunk(reader, image.one, 0);
    await reader[Symbol.asyncDispose]();
    expect(await readdir(image.directory)).toHaveLength(3);
    await removeLazyFiles(image.directory, image.one.blob.id);
    expect(await readdir(image.directory)).toEqual([]);
  });
});

describe("prefetch", () => {
  it("fetches what an earlier run read first, in its order", async () => {
    await using image = await imageFixture();
    const path = join(image.directory, "prefetch.json");
    const order = [
      [image.one, 20],
      [image.two, 4],
      [image.one, 2],
      [image.one, 20],
      [image.two, 25],
    ] as const;
    {
      await using recorder = accessRecorder({ path });
      await using reader = image.open({ recorder });
      for (const [blob, chunk] of order) await readChunk(reader, blob, chunk);
    }
    await removeLazyFiles(image.directory, image.one.blob.id);
    await removeLazyFiles(image.directory, image.two.blob.id);
    const list = await readPrefetchList(path);
    expect(list).toEqual([
      { blobId: image.one.blob.id, first: 20, count: 1 },
      { blobId: image.two.blob.id, first: 4, count: 1 },
      { blobId: image.one.blob.id, first: 2, count: 1 },
      { blobId: image.two.blob.id, first: 25, count: 1 },
    ]);
    for (const { requests } of image.servers) requests.length = 0;
    await using reader = image.open({ concurrency: 1 });
    expect(await reader.prefetch(list ?? [])).toBe(0);
    // The first request of each blob is for its chunk table.
    const stored = image.servers[0].requests.slice(1).map(({ offset }) => offset);
    expect(stored).toHaveLength(2);
    expect(stored[0]).toBeGreaterThan(stored[1] ?? Infinity);
    const before = reader.stats().requests;
    for (const [blob, chunk] of order) await readChunk(reader, blob, chunk);
    expect(reader.stats()).toMatchObject({ requests: before, misses: 0, hits: 5 });
  });

  it("fetches neighbours of a list by one request", async () => {
    await using image = await imageFixture();
    await using reader = image.open();
    const { id } = image.one.blob;
    await reader.prefetch([{ blobId: id, first: 3, count: 12 }]);
    expect(image.servers[0].requests).toHaveLength(2);
    expect(await reader.status(id)).toMatchObject({ readyCount: 12 });
  });

  it("passes over what does not exist or cannot be fetched", async () => {
    await using image = await imageFixture();
    await using reader = image.open({ retries: 0 });
    image.servers[0].faults.push(undefined, "wrong", "wrong");
    const failed = await reader.prefetch([
      { blobId: "0".repeat(64), first: 0, count: 3 },
      { blobId: image.one.blob.id, first: 4, count: 1 },
      { blobId: image.two.blob.id, first: 28, count: 100 },
    ]);
    expect(failed).toBe(1);
    expect(await reader.status(image.two.blob.id)).toMatchObject({ readyCount: 2 });
  });

  it("stops when aborted", async () => {
    await using image = await imageFixture();
    await using reader = image.open();
    const { promise, resolve } = Promise.withResolvers<void>();
    await reader.status(image.one.blob.id);
    image.servers[0].gate = promise;
    const controller = new AbortController();
    const { signal } = controller;
    const list = [{ blobId: image.one.blob.id, first: 0, count: 30 }];
    const prefetching = reader.prefetch(list, { signal });
    await expect.poll(() => image.servers[0].requests.length).toBeGreaterThan(1);
    controller.abort(new Error("enough"));
    await expect(prefetching).rejects.toThrow("enough");
    resolve();
  });
});

describe("accessRecorder", () => {
  const a = "a".repeat(64);
  const b = "b".repeat(64);

  it("keeps what earlier runs read behind what was read now, up to a limit", () => {
    const previous = [
      { blobId: a, first: 0, count: 3 },
      { blobId: b, first: 7, count: 2 },
    ];
    const recorder = accessRecorder({ path: "/nowhere", previous, maxChunks: 5 });
    for (const index of [1, 2, 2, 9]) recorder.record(a, index);
    expect(recorder.list()).toEqual([
      { blobId: a, first: 1, count: 2 },
      { blobId: a, first: 9, count: 1 },
      { blobId: a, first: 0, count: 1 },
      { blobId: b, first: 7, count: 1 },
    ]);
  });

  it("leaves the file alone when nothing was read", async () => {
    await using scratch = await scratchDirectory();
    const path = join(scratch.path, "list");
    await writeFile(path, "as it was");
    await accessRecorder({ path })[Symbol.asyncDispose]();
    expect(await readFile(path, "utf8")).toBe("as it was");
    await expect(readPrefetchList(path)).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("finds no list where there is none, and refuses one with blobs that it does not name", async () => {
    await using scratch = await scratchDirectory();
    const path = join(scratch.path, "list");
    expect(await readPrefetchList(path)).toBeUndefined();
    await writeFile(path, JSON.stringify({ version: 1, blobs: [a], runs: [[1, 0, 1]] }));
    await expect(readPrefetchList(path)).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });
});
