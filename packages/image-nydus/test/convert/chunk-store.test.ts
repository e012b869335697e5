import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { chunkStore, type KnownChunk } from "../../src/convert/chunk-store.ts";
import { blobWriter } from "../../src/rafs/blob-writer.ts";
import type { TarContent } from "../../src/tar/tar-entry.ts";
import { PackedChunks } from "../../src/tree/packed-chunks.ts";

const chunkSize = 4_096;

function newStore(known: ReadonlyMap<string, KnownChunk> = new Map(), maxReusedBlobs = 250) {
  const written: Buffer[] = [];
  const writer = blobWriter(
    {
      write: (bytes) => {
        written.push(Buffer.from(bytes));
        return Promise.resolve();
      },
    },
    { chunkSize },
  );
  const chunks = new PackedChunks();
  const store = chunkStore({
    writer,
    chunks,
    chunkSize,
    maxReusedBlobs,
    findChunk: (digest) => known.get(digest.toString("hex")),
  });
  return { store, chunks, blob: () => Buffer.concat(written) };
}

async function* content(...parts: readonly (Buffer | number)[]): AsyncGenerator<TarContent> {
  for (const part of parts) {
    yield typeof part === "number" ? { kind: "hole", size: part } : { kind: "data", bytes: part };
  }
}

const bytes = (letter: string, size: number): Buffer => Buffer.alloc(size, letter);
const hexDigest = (value: Buffer): string => createHash("sha256").update(value).digest("hex");

describe("chunkStore", () => {
  it("stores each chunk once, wherever it comes again", async () => {
    const { store, chunks, blob } = newStore();
    const first = await store.storeFile(content(bytes("a", 4_096), bytes("b", 10)));
    const second = await store.storeFile(content(bytes("b", 10)));
    const third = await store.storeFile(content(bytes("a", 8_192)));
    expect(first).toEqual([0, 1]);
    expect(second).toEqual([1]);
    expect(third).toEqual([0, 0]);
    expect(chunks.inBlob("new").length).toBe(2);
    expect(blob()).toHaveLength(8_192);
    expect(blob().subarray(0, 4_106)).toEqual(Buffer.concat([bytes("a", 4_096), bytes("b", 10)]));
    expect(store.stats).toEqual({
      storedBytes: 4_106,
      storedChunks: 2,
      reusedBytes: 8_202,
      reusedChunks: 3,
    });
  });

  it("leans on the chunks of other images", async () => {
    const place = { blobId: "e".repeat(64), index: 7, offset: 28_672, size: 10 };
    const { store, chunks, blob } = newStore(new Map([[hexDigest(bytes("b", 10)), place]]));
    expect(await store.storeFile(content(bytes("b", 10)))).toEqual([0]);
    expect(chunks.at(0)).toMatchObject(place);
    expect([...store.reusedBlobIds]).toEqual([place.blobId]);
    expect(blob()).toHaveLength(0);
  });

  it("leans on no more blobs than it may, and on no chunk of another size", async () => {
    const known = new Map(
      ["a", "b", "c"].map((letter, index): [string, KnownChunk] => [
        hexDigest(bytes(letter, 10)),
        { blobId: String(index).repeat(64), index: 0, offset: 0, size: letter === "c" ? 9 : 10 },
      ]),
    );
    const { store, chunks } = newStore(known, 1);
    for (const letter of ["a", "b", "c", "a"]) {
      await store.storeFile(content(bytes(letter, 10)));
    }
    expect(store.reusedBlobIds.size).toBe(1);
    const added = chunks.inBlob("new");
    expect([0, 1].map((position) => added.at(position).digest.toString("hex"))).toEqual([
      hexDigest(bytes("b", 10)),
      hexDigest(bytes("c", 10)),
    ]);
    expect(added.length).toBe(2);
  });

  it("stores zeros without end as one chunk", async () => {
    const { store, chunks, blob } = newStore();
    const stored = await store.storeFile(content(100 * 1_024 * chunkSize, bytes("x", 1)));
    expect(stored).toHaveLength(100 * 1_024 + 1);
    expect(chunks.length).toBe(2);
    expect(blob()).toHaveLength(2 * chunkSize);
  });

  it("has no chunks for an empty file", async () => {
    const { store } = newStore();
    expect(await store.storeFile(content())).toEqual([]);
  });
});
