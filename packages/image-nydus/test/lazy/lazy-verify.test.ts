import { open } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { lazyFiles } from "../../src/lazy/lazy-files.ts";
import { bytes, lazyFixture, markedChunks, type LazyFixture } from "./lazy-fixture.ts";

const sizes = [5_000, 60_000, 100, 4_096, 30_000];

async function damage(lazy: LazyFixture, chunk: number): Promise<void> {
  const file = await open(lazyFiles(lazy.directory, lazy.fixture.blob.id).data, "r+");
  await file.write(Buffer.from([0xff, 0xfe, 0xfd]), 0, 3, (lazy.fixture.offsets[chunk] ?? 0) + 50);
  await file.close();
}

describe("verify", () => {
  it("finds nothing wrong with what was fetched", async () => {
    await using lazy = await lazyFixture(sizes);
    await lazy.read(0, 10_000);
    expect(await lazy.blob.verify()).toEqual({ checked: 2, damaged: [] });
  });

  it("finds damaged chunks, forgets them, and they are fetched again", async () => {
    await using lazy = await lazyFixture(sizes);
    const { plain } = lazy.fixture;
    await lazy.read(0, plain.length);
    await lazy.blob.flush();
    await damage(lazy, 1);
    expect(await lazy.blob.verify()).toEqual({ checked: 5, damaged: [1] });
    expect(await markedChunks(lazy.directory, lazy.fixture)).toEqual([0, 2, 3, 4]);
    expect(lazy.events).toEqual([{ type: "cache-damaged", blobId: lazy.blob.id, chunks: [1] }]);
    expect(await lazy.read(0, plain.length)).toSatisfy(bytes(plain));
    expect(await lazy.blob.verify()).toEqual({ checked: 5, damaged: [] });
  });

  it("takes the mark of a complete blob back when a chunk is damaged", async () => {
    await using lazy = await lazyFixture(sizes);
    await lazy.blob.complete();
    await damage(lazy, 3);
    const again = await lazy.reopen();
    expect(again.blob.isComplete).toBe(true);
    expect(await again.blob.verify()).toEqual({ checked: 5, damaged: [3] });
    expect(again.blob.isComplete).toBe(false);
    expect(await markedChunks(lazy.directory, lazy.fixture)).toEqual([0, 1, 2, 4]);
    await again.blob.complete();
    expect(again.blob.isComplete).toBe(true);
    expect(await again.read(0, lazy.fixture.plain.length)).toSatisfy(bytes(lazy.fixture.plain));
    await again[Symbol.asyncDispose]();
  });

  it("stops when aborted", async () => {
    await using lazy = await lazyFixture(sizes);
    await lazy.read(0, 10_000);
    const verifying = lazy.blob.verify({ signal: AbortSignal.abort(new Error("enough")) });
    await expect(verifying).rejects.toThrow("enough");
  });
});
