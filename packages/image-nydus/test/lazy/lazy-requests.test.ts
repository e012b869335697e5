import { describe, expect, it } from "vitest";
import { bytes, exact, fast, lazyFixture } from "./lazy-fixture.ts";

const kib = 1024;

describe("requests of a lazy blob", () => {
  it("asks once for neighbouring chunks of one read", async () => {
    await using lazy = await lazyFixture(Array.from({ length: 20 }, () => 3_000));
    lazy.server.requests.length = 0;
    await lazy.read(0, 20 * 4_096);
    expect(lazy.server.requests).toHaveLength(1);
  });

  it("keeps requests below the size of a batch", async () => {
    await using lazy = await lazyFixture(
      Array.from({ length: 20 }, () => 30_000),
      { ...exact, batchBytes: 64 * kib },
    );
    lazy.server.requests.length = 0;
    await lazy.read(0, lazy.fixture.plain.length);
    expect(lazy.server.requests.every(({ length }) => length <= 64 * kib)).toBe(true);
    expect(lazy.server.requests.length).toBeLessThanOrEqual(8);
  });

  it("asks once for reads of neighbours that come in the same turn", async () => {
    await using lazy = await lazyFixture(Array.from({ length: 8 }, () => 3_000));
    lazy.server.requests.length = 0;
    await Promise.all([3, 1, 2, 4].map((chunk) => lazy.read(chunk * 4_096, 10)));
    expect(lazy.server.requests).toHaveLength(1);
  });

  it("fetches a small gap along, and keeps what lies in it", async () => {
    await using lazy = await lazyFixture([3_000, 3_000, 3_000]);
    lazy.server.requests.length = 0;
    await Promise.all([lazy.read(0, 10), lazy.read(8_192, 10)]);
    expect(lazy.server.requests).toHaveLength(1);
    expect(await lazy.read(4_096, 10)).toSatisfy(bytes(lazy.fixture.plain.subarray(4_096, 4_106)));
    expect(lazy.server.requests).toHaveLength(1);
  });

  it("does not fetch a large gap along", async () => {
    await using lazy = await lazyFixture([3_000, 500 * kib, 3_000]);
    lazy.server.requests.length = 0;
    const [, , third = 0] = lazy.fixture.offsets;
    await Promise.all([lazy.read(0, 10), lazy.read(third, 10)]);
    expect(lazy.server.requests).toHaveLength(2);
    expect(lazy.stats().fetchedBytes).toBeLessThan(50 * kib);
  });

  it("fetches a chunk once for all who read it at the same time", async () => {
    await using lazy = await lazyFixture([200 * kib]);
    lazy.server.requests.length = 0;
    const reads = Array.from({ length: 50 }, (_, at) => lazy.read(at * 1_000, 1_000));
    for (const [at, read] of (await Promise.all(reads)).entries()) {
      expect(read).toSatisfy(bytes(lazy.fixture.plain.subarray(at * 1_000, at * 1_000 + 1_000)));
    }
    expect(lazy.server.requests).toHaveLength(1);
  });

  it("gives bytes of a long answer out as they come", async () => {
    await using lazy = await lazyFixture([3_000, 600 * kib], { ...exact, stallTimeoutMs: 60_000 });
    lazy.server.faults.push("stall");
    const both = lazy.read(0, lazy.fixture.plain.length);
    const ended = Promise.allSettled([both]);
    expect(await lazy.read(0, 3_000)).toSatisfy(bytes(lazy.fixture.plain.subarray(0, 3_000)));
    await lazy.blob[Symbol.asyncDispose]();
    expect(await ended).toMatchObject([{ status: "rejected", reason: { code: "IO_ERROR" } }]);
  });

  it("fetches ahead of a sequential reader, in fewer requests than chunks", async () => {
    const count = 200;
    await using lazy = await lazyFixture(
      Array.from({ length: count }, () => 16 * kib),
      fast,
    );
    lazy.server.requests.length = 0;
    for (let chunk = 0; chunk < count; chunk += 1) await lazy.read(chunk * 16 * kib, 16 * kib);
    expect(lazy.server.requests.length).toBeLessThan(20);
  });

  it("fetches little besides for a reader that jumps", async () => {
    await using lazy = await lazyFixture(
      Array.from({ length: 300 }, () => 16 * kib),
      { ...fast, readahead: { minBytes: 32 * kib } },
    );
    for (const chunk of [10, 200, 50, 150, 100]) await lazy.read(chunk * 16 * kib, 100);
    expect(lazy.stats().fetchedBytes).toBeLessThan(5 * 33 * kib + 20 * kib);
  });

  it("lets readers go before what is fetched in the background", async () => {
    await using lazy = await lazyFixture(
      Array.from({ length: 64 }, () => 16 * kib),
      { ...exact, backgroundBatchBytes: 16 * kib },
    );
    const { promise, resolve } = Promise.withResolvers<void>();
    lazy.server.gate = promise;
    lazy.server.requests.length = 0;
    const completing = lazy.blob.complete();
    await expect.poll(() => lazy.server.requests.length).toBe(2);
    const read = lazy.read(60 * 16 * kib, 100);
    // Background work holds two connections only, so the reader's request gets one at once.
    await expect.poll(() => lazy.server.requests.length).toBe(3);
    expect(lazy.server.requests[2]?.offset).toBeGreaterThan(lazy.fixture.stored.length / 2);
    lazy.server.gate = undefined;
    resolve();
    expect(await read).toSatisfy(
      bytes(lazy.fixture.plain.subarray(60 * 16 * kib, 60 * 16 * kib + 100)),
    );
    await completing;
  });

  it("fetches the rest in large requests, after which nothing is missing", async () => {
    await using lazy = await lazyFixture(Array.from({ length: 100 }, () => 64 * kib));
    await lazy.read(30 * 64 * kib, 100);
    lazy.server.requests.length = 0;
    await lazy.blob.complete();
    expect(lazy.blob.isComplete).toBe(true);
    expect(lazy.server.requests.length).toBeLessThanOrEqual(4);
    expect(lazy.events).toEqual([{ type: "blob-completed", blobId: lazy.blob.id }]);
    await lazy.server.kill();
    const again = await lazy.reopen();
    expect(again.blob.isComplete).toBe(true);
    expect(await again.read(0, lazy.fixture.plain.length)).toSatisfy(bytes(lazy.fixture.plain));
    await again[Symbol.asyncDispose]();
  });

  it("stops completing when aborted, and keeps what has come", async () => {
    await using lazy = await lazyFixture(
      Array.from({ length: 40 }, () => 64 * kib),
      { ...exact, backgroundBatchBytes: 64 * kib },
    );
    await lazy.read(0, 100);
    const { promise, resolve } = Promise.withResolvers<void>();
    lazy.server.gate = promise;
    lazy.server.requests.length = 0;
    const controller = new AbortController();
    const completing = lazy.blob.complete({ signal: controller.signal });
    await expect.poll(() => lazy.server.requests.length).toBe(2);
    controller.abort(new Error("enough"));
    await expect(completing).rejects.toThrow("enough");
    lazy.server.gate = undefined;
    resolve();
    expect(lazy.blob.isComplete).toBe(false);
    await lazy.blob.complete();
    expect(lazy.blob.isComplete).toBe(true);
  });
});
