import { readFile, stat, truncate, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { lazyFiles } from "../../src/lazy/lazy-files.ts";
import { foreignBlob, writeBlob } from "./blob-fixture.ts";
import { bytes, exact, fast, lazyFixture, markedChunks } from "./lazy-fixture.ts";

const kib = 1024;
const sizes = [1_000, 4_096, 100_000, 1, 300 * kib, 5_000, 1_048_576, 4_097];

describe("openLazyBlob", () => {
  it("reads every byte, with zeros between the chunks", async () => {
    await using lazy = await lazyFixture(sizes);
    const { plain } = lazy.fixture;
    expect(await lazy.read(0, plain.length)).toSatisfy(bytes(plain));
    await lazy.blob.flush();
    expect(lazy.blob.readyCount).toBe(sizes.length);
  });

  it("reads ranges that begin and end anywhere", async () => {
    await using lazy = await lazyFixture(sizes);
    const { plain, offsets } = lazy.fixture;
    for (const offset of offsets) {
      for (const [from, length] of [
        [0, 1],
        [999, 2],
        [4_090, 20_000],
      ] as const) {
        const at = Math.min(offset + from, plain.length - length);
        expect(await lazy.read(at, length)).toSatisfy(bytes(plain.subarray(at, at + length)));
      }
    }
  });

  it("gives zeros for padding without fetching", async () => {
    await using lazy = await lazyFixture([100, 100]);
    const before = lazy.server.requests.length;
    expect(await lazy.read(200, 3_000)).toSatisfy(bytes(Buffer.alloc(3_000)));
    expect(lazy.server.requests.length).toBe(before);
  });

  it("refuses ranges outside of the blob", async () => {
    await using lazy = await lazyFixture([100]);
    await expect(lazy.read(4_000, 97)).rejects.toMatchObject({ code: "IO_ERROR" });
    await expect(lazy.read(-1, 4)).rejects.toMatchObject({ code: "IO_ERROR" });
  });

  it.each(["none", "lz4", "gzip", "zstd"] as const)(
    "reads %s blobs with BLAKE3 digests and gaps",
    async (compressor) => {
      const fixture = await foreignBlob([5_000, 70_000, 14, 15, 270, 4_096, 90_000], compressor);
      await using lazy = await lazyFixture(fixture);
      expect(await lazy.read(0, fixture.plain.length)).toSatisfy(bytes(fixture.plain));
    },
  );

  it("fetches a blob that is not compressed, too", async () => {
    await using lazy = await lazyFixture(await writeBlob(sizes, { compressor: "none" }));
    expect(await lazy.read(0, lazy.fixture.plain.length)).toSatisfy(bytes(lazy.fixture.plain));
  });

  it("fetches the chunk table once, and what was read never again", async () => {
    await using lazy = await lazyFixture(sizes);
    await lazy.read(0, 5_000);
    const { length } = lazy.server.requests;
    const again = await lazy.reopen();
    expect(await again.read(0, 5_000)).toSatisfy(bytes(lazy.fixture.plain.subarray(0, 5_000)));
    expect(lazy.server.requests.length).toBe(length);
    expect(again.stats()).toMatchObject({ requests: 0, hits: 2, misses: 0, fetchedBytes: 0 });
    await again[Symbol.asyncDispose]();
  });

  it("needs no request for the chunk table when the image brought it", async () => {
    await using first = await lazyFixture(sizes);
    const meta = await readFile(lazyFiles(first.directory, first.fixture.blob.id).meta);
    await using lazy = await lazyFixture(first.fixture, { ...exact, meta });
    expect(lazy.server.requests).toEqual([]);
    expect(await lazy.read(0, 2_000)).toSatisfy(bytes(first.fixture.plain.subarray(0, 2_000)));
  });

  it("fetches the chunk table itself when that of the image is wrong", async () => {
    await using lazy = await lazyFixture(sizes, { ...exact, meta: Buffer.alloc(8_192) });
    expect(await lazy.read(0, 2_000)).toSatisfy(bytes(lazy.fixture.plain.subarray(0, 2_000)));
  });

  it("refuses a chunk table that is not the image's", async () => {
    const fixture = await writeBlob(sizes);
    const other = await writeBlob([1, 2, 3, 4, 5, 6, 7]);
    const stored = Buffer.alloc(fixture.stored.length);
    other.stored.copy(stored);
    await expect(lazyFixture({ ...fixture, stored }, fast)).rejects.toMatchObject({
      code: "IMAGE_CHECKSUM_MISMATCH",
    });
  });

  it("makes the files of nydusd's cache", async () => {
    await using lazy = await lazyFixture([100, 5_000, 1]);
    await lazy.read(4_096, 10);
    await lazy.blob.flush();
    const files = lazyFiles(lazy.directory, lazy.fixture.blob.id);
    expect((await stat(files.data)).size).toBe(4 * 4_096);
    const map = await readFile(files.map);
    expect(map.length).toBe(4_097);
    expect(map.readUInt32LE(0)).toBe(0x424d4150);
    expect(map.readUInt32LE(4)).toBe(1);
    expect(map.readUInt32LE(8)).toBe(0x434d4150);
    expect(map.readUInt32LE(12)).toBe(0);
    // The second chunk, counted from the highest bit.
    expect(map[4_096]).toBe(0b0100_0000);
  });

  it("marks a chunk on disk only after a flush", async () => {
    await using lazy = await lazyFixture([100, 100], { ...exact, flushMs: 1_000_000 });
    await lazy.read(0, 100);
    expect(await markedChunks(lazy.directory, lazy.fixture)).toEqual([]);
    await lazy.blob.flush();
    expect(await markedChunks(lazy.directory, lazy.fixture)).toEqual([0]);
  });

  it.each(["map", "data"] as const)("begins anew when the %s is cut off", async (which) => {
    await using lazy = await lazyFixture(sizes);
    await lazy.read(0, lazy.fixture.plain.length);
    await lazy.blob[Symbol.asyncDispose]();
    await truncate(lazyFiles(lazy.directory, lazy.fixture.blob.id)[which], 4_096);
    const again = await lazy.reopen();
    expect(again.blob.readyCount).toBe(0);
    expect(await again.read(0, lazy.fixture.plain.length)).toSatisfy(bytes(lazy.fixture.plain));
    await again[Symbol.asyncDispose]();
  });

  it("replaces a damaged chunk table", async () => {
    await using lazy = await lazyFixture(sizes);
    const { meta } = lazyFiles(lazy.directory, lazy.fixture.blob.id);
    const { size } = await stat(meta);
    await writeFile(meta, Buffer.alloc(size, 7));
    const again = await lazy.reopen();
    expect(await again.read(0, 2_000)).toSatisfy(bytes(lazy.fixture.plain.subarray(0, 2_000)));
    await again[Symbol.asyncDispose]();
  });

  it("does not read chunks that the image does not list", async () => {
    const fixture = await writeBlob([100, 100, 100]);
    const digests = [fixture.digests[0], Buffer.alloc(0), fixture.digests[2]].map(
      (digest) => digest ?? Buffer.alloc(0),
    );
    await using lazy = await lazyFixture({ ...fixture, digests });
    await expect(lazy.read(4_096, 10)).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
    await lazy.blob.complete();
    expect(lazy.blob).toMatchObject({ readyCount: 2, isComplete: false });
    expect(await markedChunks(lazy.directory, fixture)).toEqual([0, 2]);
  });

  it("ends the wait of an aborted read and leaves its target alone", async () => {
    await using lazy = await lazyFixture([100]);
    const { promise, resolve } = Promise.withResolvers<void>();
    lazy.server.gate = promise;
    const controller = new AbortController();
    const target = Buffer.alloc(100, 0xee);
    const read = lazy.blob.read(0, target, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(read).rejects.toThrow("enough");
    resolve();
    expect(await lazy.read(0, 100)).toSatisfy(bytes(lazy.fixture.plain.subarray(0, 100)));
    expect(target).toSatisfy(bytes(Buffer.alloc(100, 0xee)));
  });

  it("rejects reads when it is closed, also those under way", async () => {
    await using lazy = await lazyFixture([100]);
    lazy.server.faults.push("stall");
    const [read] = await Promise.allSettled([lazy.read(0, 100), lazy.blob[Symbol.asyncDispose]()]);
    expect(read).toMatchObject({ status: "rejected", reason: { code: "IO_ERROR" } });
    await expect(lazy.read(0, 1)).rejects.toThrow("closed");
  });
});
