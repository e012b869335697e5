import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { packedChunks } from "../../src/convert/packed-chunks.ts";
import type { ChunkRef } from "../../src/tree/inode.ts";

function chunk(number: number): ChunkRef {
  return {
    blobId: number % 3 === 0 ? "new" : "b".repeat(63 + (number % 2)),
    index: 2 ** 32 - 1 - number,
    size: number + 1,
    offset: number * 2 ** 30,
    digest: createHash("sha256").update(`${number}`).digest(),
  };
}

const fieldsOf = ({ blobId, index, size, offset, digest }: ChunkRef): ChunkRef => ({
  blobId,
  index,
  size,
  offset,
  digest: Buffer.from(digest),
});

describe("packedChunks", () => {
  it("finds every chunk by its digest as it was put in, and always the same object", () => {
    const chunks = packedChunks();
    const kept = Array.from({ length: 10_000 }, (_, number) => chunks.add(chunk(number)));
    for (const [number, object] of kept.entries()) {
      const wanted = chunk(number);
      expect(chunks.find(wanted.digest)).toBe(object);
      expect(fieldsOf(object)).toEqual(wanted);
    }
    expect(chunks.find(chunk(10_000).digest)).toBeUndefined();
  });

  it("tells digests apart that begin alike", () => {
    const chunks = packedChunks();
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
});
