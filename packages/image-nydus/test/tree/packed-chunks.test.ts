import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { ChunkRef } from "../../src/tree/inode.ts";
import { PackedChunks } from "../../src/tree/packed-chunks.ts";

function chunk(number: number): ChunkRef {
  return {
    blobId: number % 3 === 0 ? "new" : "b".repeat(63 + (number % 2)),
    index: 2 ** 32 - 1 - number,
    size: number + 1,
    offset: number * 2 ** 30,
    digest: createHash("sha256").update(`${number}`).digest(),
  };
}

describe("PackedChunks", () => {
  it("gives every chunk back as it was put in, and finds it by its digest", () => {
    const chunks = new PackedChunks();
    const numbers = Array.from({ length: 10_000 }, (_, number) => chunks.add(chunk(number)));
    expect(numbers).toEqual(Array.from({ length: 10_000 }, (_, number) => number));
    for (const number of numbers) {
      expect(chunks.find(chunk(number).digest)).toBe(number);
      expect(chunks.at(number)).toEqual(chunk(number));
      expect(chunks.add(chunk(number))).toBe(number);
    }
    expect(chunks.find(chunk(10_000).digest)).toBeUndefined();
    const inBlob = chunks.inBlob("new");
    expect(inBlob.length).toBe(3_334);
    expect(inBlob.at(2)).toEqual(chunk(6));
  });

  it("tells digests apart that begin alike", () => {
    const chunks = new PackedChunks();
    const digest = Buffer.alloc(32, 7);
    const other = Buffer.from(digest);
    other[31] = 8;
    const first = chunks.add({ ...chunk(1), digest });
    expect(chunks.find(other)).toBeUndefined();
    const second = chunks.add({ ...chunk(2), digest: other });
    // What it was given may be used for something else.
    digest.fill(0);
    expect(chunks.find(Buffer.alloc(32, 7))).toBe(first);
    expect(chunks.find(other)).toBe(second);
  });

  it("keeps chunks of one digest in several places, however many they are", () => {
    const chunks = new PackedChunks();
    const digest = Buffer.alloc(32, 7);
    const startedAt = performance.now();
    for (let index = 0; index < 100_000; index += 1) {
      chunks.add({ blobId: "b", index, offset: 0, size: 1, digest });
    }
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(chunks.length).toBe(100_000);
    expect(chunks.at(99_999).index).toBe(99_999);
    expect(chunks.find(digest)).toBe(0);
  });

  it.each([
    ["an offset within a block", { offset: 1 }],
    ["a negative index", { index: -1 }],
    ["a size of 33 bits", { size: 2 ** 32 }],
    ["a digest of 20 bytes", { digest: Buffer.alloc(20) }],
  ])("refuses %s", (_what, change) => {
    const chunks = new PackedChunks();
    const refused = expect.objectContaining({ code: "VALIDATION_ERROR" });
    expect(() => chunks.add({ ...chunk(1), ...change })).toThrow(refused);
    expect(chunks.length).toBe(0);
  });
});
