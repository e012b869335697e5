import { describe, expect, it } from "vitest";
import {
  chunkMapSize,
  countBits,
  decodeChunkMap,
  encodeChunkMapHeader,
  hasBit,
  setBit,
} from "../../src/lazy/chunk-map.ts";
import { planBatch, splitRuns, type BatchPlan } from "../../src/lazy/plan-batch.ts";
import { readahead } from "../../src/lazy/readahead.ts";
import { backOff } from "../../src/lazy/retry-policy.ts";
import { slidingWindow } from "../../src/lazy/sliding-window.ts";
import type { StoredChunk } from "../../src/rafs/chunk-info.ts";

/** Chunks of 100 stored bytes, with gaps in front of some. */
function chunksWithGaps(gaps: readonly number[]): StoredChunk[] {
  let storedOffset = 0;
  return gaps.map((gap, index) => {
    storedOffset += gap;
    const chunk = { index, offset: index * 4_096, size: 200, storedOffset, storedSize: 100 };
    storedOffset += 100;
    return { ...chunk, compressed: true };
  });
}

function plan(chunks: readonly StoredChunk[], wanted: Partial<BatchPlan>): BatchPlan {
  return {
    maxBytes: 10_000,
    maxGap: 50,
    chunkCount: chunks.length,
    chunk: (index) => chunks[index] ?? { ...(chunks[0] as StoredChunk), index },
    wantsAfter: () => false,
    wantsBefore: () => false,
    takesAlong: () => false,
    ...wanted,
  };
}

const indexes = (chunks: readonly StoredChunk[]): number[] => chunks.map(({ index }) => index);

describe("planBatch", () => {
  const close = chunksWithGaps([0, 0, 0, 0, 0, 0]);

  it("takes the first alone when nothing else is wanted", () => {
    expect(indexes(planBatch(2, plan(close, {})))).toEqual([2]);
  });

  it("takes wanted neighbours on both sides in order of the blob", () => {
    const all = plan(close, { wantsAfter: () => true, wantsBefore: () => true });
    expect(indexes(planBatch(3, all))).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("stops at the size of a batch, but takes a chunk that is larger alone", () => {
    const all = plan(close, { wantsAfter: () => true, maxBytes: 250 });
    expect(indexes(planBatch(1, all))).toEqual([1, 2]);
    expect(indexes(planBatch(1, { ...all, maxBytes: 10 }))).toEqual([1]);
  });

  it("stops at a gap that is too large", () => {
    const chunks = chunksWithGaps([0, 50, 51, 0]);
    expect(indexes(planBatch(0, plan(chunks, { wantsAfter: () => true })))).toEqual([0, 1]);
  });

  it("takes along what lies between wanted chunks, not what lies behind them", () => {
    const chunks = chunksWithGaps([0, 0, 0, 0]);
    const some = plan(chunks, {
      maxGap: 100,
      wantsAfter: (index) => index === 2,
      takesAlong: () => true,
    });
    expect(indexes(planBatch(0, some))).toEqual([0, 1, 2]);
  });

  it("does not merge chunks that are stored in another order", () => {
    const [a, b] = chunksWithGaps([0, 0]);
    if (a === undefined || b === undefined) throw new Error("two chunks are there");
    const swapped = [
      { ...a, storedOffset: 100 },
      { ...b, storedOffset: 0 },
    ];
    expect(indexes(planBatch(0, plan(swapped, { wantsAfter: () => true })))).toEqual([0]);
    expect(splitRuns(swapped, 50).map(indexes)).toEqual([[0], [1]]);
  });
});

describe("chunk maps", () => {
  it("hold the bits of the first chunks highest", () => {
    const bits = Buffer.alloc(2);
    setBit(bits, 0, true);
    setBit(bits, 9, true);
    expect([...bits]).toEqual([0x80, 0x40]);
    expect(hasBit(bits, 9)).toBe(true);
    setBit(bits, 9, false);
    expect(countBits(bits, 16)).toBe(1);
  });

  it("are refused with another size or mark", () => {
    const file = Buffer.alloc(chunkMapSize(9));
    encodeChunkMapHeader().copy(file);
    expect(decodeChunkMap(file, 9)).toMatchObject({ isAllReady: false });
    expect(decodeChunkMap(file, 8)).toBeUndefined();
    expect(decodeChunkMap(file, 17)).toBeUndefined();
    file[0] = 0;
    expect(decodeChunkMap(file, 9)).toBeUndefined();
  });
});

describe("readahead", () => {
  const chunkBytes = 100_000;
  const span = (first: number, last = first) => ({
    first,
    last,
    begin: first * chunkBytes,
    end: (last + 1) * chunkBytes,
  });

  it("goes further ahead of a sequential reader the more it has passed, up to a limit", () => {
    const { next } = readahead({ maxBytes: 1_000_000 });
    const advice = Array.from({ length: 60 }, (_, chunk) => next(span(chunk)).aheadBytes);
    expect(advice.slice(0, 6)).toEqual([0, 131_072, 131_072, 131_072, 131_072, 150_000]);
    expect(advice[19]).toBe(500_000);
    expect(advice.at(-1)).toBe(1_000_000);
    for (const [chunk, bytes] of advice.entries()) {
      expect(bytes).toBeLessThanOrEqual(Math.max(131_072, ((chunk + 1) * chunkBytes) / 4));
    }
  });

  it("keeps its distance while a reader stays in a chunk", () => {
    const { next } = readahead();
    const advice = [0, 1, 1, 1].map((chunk) => next(span(chunk)).aheadBytes);
    expect(advice).toEqual([0, 131_072, 131_072, 131_072]);
  });

  it("tells readers apart, and gives nothing to one that jumps", () => {
    const { next } = readahead();
    next(span(0));
    next(span(500, 501));
    expect(next(span(1)).aheadBytes).toBeGreaterThan(0);
    expect(next(span(502)).aheadBytes).toBeGreaterThan(0);
    expect(next(span(900)).aheadBytes).toBe(0);
  });

  it("is off when its limits are 0", () => {
    const { next } = readahead({ minBytes: 0, maxBytes: 0 });
    next(span(0));
    expect(next(span(1))).toEqual({ fillBytes: 0, aheadBytes: 0 });
  });
});

describe("slidingWindow", () => {
  it("takes no more items than there is room for", async () => {
    const ends: (() => void)[] = [];
    function* items() {
      for (let at = 0; at < 5; at += 1) {
        const { promise, resolve } = Promise.withResolvers<void>();
        ends.push(resolve);
        yield { bytes: 10, done: promise };
      }
    }
    const done = slidingWindow(items(), { maxBytes: 20 });
    await expect.poll(() => ends.length).toBe(2);
    ends[0]?.();
    await expect.poll(() => ends.length).toBe(3);
    for (let at = 1; at < 5; at += 1) {
      await expect.poll(() => ends.length).toBeGreaterThan(at);
      ends[at]?.();
    }
    expect(await done).toBe(0);
  });

  it("counts what failed when it may go on", async () => {
    const items = [
      { bytes: 1, done: Promise.reject(new Error("one")) },
      { bytes: 1, done: Promise.resolve() },
    ];
    expect(await slidingWindow(items, { maxBytes: 10, onError: "skip" })).toBe(1);
  });
});

describe("backOff", () => {
  it("gives up after the retries, and rejects with the abort reason", async () => {
    const error = new Error("network");
    const { signal } = new AbortController();
    await expect(backOff(error, 3, { retries: 2, signal })).rejects.toBe(error);
    const controller = new AbortController();
    const waiting = backOff(error, 1, { backoffMs: 60_000, signal: controller.signal });
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});
