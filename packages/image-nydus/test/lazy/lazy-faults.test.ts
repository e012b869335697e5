import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { httpRanges, startRangeServer, type Fault } from "./range-server.ts";
import { openLazyBlob } from "../../src/lazy/lazy-blob.ts";
import { writeBlob } from "./blob-fixture.ts";
import {
  bytes,
  exact,
  lazyFixture,
  lazySource,
  scratchDirectory,
  wronglyMarked,
  markedChunks,
} from "./lazy-fixture.ts";

const run = promisify(execFile);
const sizes = [50_000, 3_000, 70_000, 200, 20_000];

describe("a lazy blob on a bad network", () => {
  const passing: Fault[] = ["reset", "stall", "unavailable", "short", "wrong", "flip", "whole"];

  it.each(passing)("reads the right bytes after one answer of kind %s", async (fault) => {
    await using lazy = await lazyFixture(sizes);
    const { plain } = lazy.fixture;
    lazy.server.faults.push(fault);
    // Not from the begin of the blob, so that an answer with all of it is a wrong one.
    expect(await lazy.read(60_000, 50_000)).toSatisfy(bytes(plain.subarray(60_000, 110_000)));
    await lazy.blob.flush();
    expect(await wronglyMarked(lazy.directory, lazy.fixture)).toEqual([]);
    expect(lazy.stats()).toMatchObject({ failedReads: 0 });
  });

  it("ignores what an answer has too much", async () => {
    await using lazy = await lazyFixture(sizes);
    lazy.server.faults.push("long");
    expect(await lazy.read(0, 60_000)).toSatisfy(bytes(lazy.fixture.plain.subarray(0, 60_000)));
    expect(lazy.stats()).toMatchObject({ retries: 0, mismatches: 0 });
  });

  it("goes on behind the last whole chunk when a connection breaks", async () => {
    await using lazy = await lazyFixture(Array.from({ length: 32 }, () => 20_000));
    lazy.server.requests.length = 0;
    lazy.server.faults.push("reset", "reset", "reset");
    const { plain } = lazy.fixture;
    expect(await lazy.read(0, plain.length)).toSatisfy(bytes(plain));
    const [first, second, third] = lazy.server.requests;
    expect(second?.offset).toBeGreaterThan(first?.offset ?? 0);
    expect(third?.offset).toBeGreaterThan(second?.offset ?? 0);
    expect(lazy.server.requests).toHaveLength(4);
    expect(lazy.events.map(({ type }) => type)).toEqual(Array(3).fill("fetch-retried"));
  });

  it("rejects with IO_ERROR and tells when the server stays away, and recovers with it", async () => {
    await using lazy = await lazyFixture(sizes, { ...exact, retries: 2 });
    lazy.server.faults.push("unavailable", "reset", "stall");
    await expect(lazy.read(0, 100)).rejects.toMatchObject({ code: "IO_ERROR" });
    expect(lazy.events.map(({ type }) => type)).toEqual([
      "fetch-retried",
      "fetch-retried",
      "read-failed",
    ]);
    expect(lazy.stats()).toMatchObject({ failedReads: 1, retries: 2 });
    expect(await lazy.read(0, 100)).toSatisfy(bytes(lazy.fixture.plain.subarray(0, 100)));
  });

  it("rejects when the server is gone, but still reads what is here", async () => {
    await using lazy = await lazyFixture(sizes, { ...exact, retries: 1 });
    await lazy.read(0, 50_000);
    await lazy.server.kill();
    await expect(lazy.read(60_000, 10)).rejects.toMatchObject({ code: "IO_ERROR" });
    expect(await lazy.read(0, 50_000)).toSatisfy(bytes(lazy.fixture.plain.subarray(0, 50_000)));
  });

  it("does not try again what cannot help", async () => {
    await using lazy = await lazyFixture(sizes);
    lazy.server.requests.length = 0;
    lazy.server.faults.push("missing");
    await expect(lazy.read(0, 100)).rejects.toMatchObject({
      code: "IO_ERROR",
      cause: { code: "IMAGE_PULL_FAILED" },
    });
    expect(lazy.server.requests).toHaveLength(1);
  });

  it.each(["wrong", "flip"] as const)(
    "asks once more for %s bytes, then rejects and keeps nothing",
    async (fault) => {
      await using lazy = await lazyFixture([50_000]);
      lazy.server.requests.length = 0;
      lazy.server.faults.push(fault, fault);
      const target = Buffer.alloc(100, 0xee);
      await expect(lazy.blob.read(0, target)).rejects.toMatchObject({
        code: "IMAGE_CHECKSUM_MISMATCH",
      });
      expect(target).toSatisfy(bytes(Buffer.alloc(100, 0xee)));
      expect(lazy.server.requests).toHaveLength(2);
      expect(lazy.events.map(({ type }) => type)).toEqual([
        "chunk-mismatched",
        "chunk-mismatched",
        "read-failed",
      ]);
      await lazy.blob.flush();
      expect(await markedChunks(lazy.directory, lazy.fixture)).toEqual([]);
    },
  );

  it("asks another place after a wrong answer", async () => {
    const fixture = await writeBlob(sizes);
    await using scratch = await scratchDirectory();
    await using honest = await startRangeServer(fixture.stored);
    await using liar = await startRangeServer(Buffer.from(fixture.stored).fill(0, 0, 40_000));
    const places = [httpRanges(liar.url), httpRanges(honest.url)];
    await using blob = await openLazyBlob({
      ...lazySource(fixture, honest),
      ...exact,
      directory: scratch.path,
      fetchRange: (range, options) =>
        (places[options.wrongAnswers] ?? httpRanges(honest.url))(range, options),
    });
    const target = Buffer.alloc(50_000);
    await blob.read(0, target);
    expect(target).toSatisfy(bytes(fixture.plain.subarray(0, 50_000)));
    expect(honest.requests.length).toBeGreaterThan(0);
  });

  it("takes all bytes at once from a source that has no streams", async () => {
    const fixture = await writeBlob(sizes);
    await using lazy = await lazyFixture(fixture, {
      ...exact,
      fetchRange: ({ offset, length }) =>
        Promise.resolve(fixture.stored.subarray(offset, offset + length)),
    });
    expect(await lazy.read(0, fixture.plain.length)).toSatisfy(bytes(fixture.plain));
  });

  it("does not let a listener that throws harm a reader", async () => {
    await using lazy = await lazyFixture(sizes, {
      ...exact,
      onEvent: () => {
        throw new Error("broken listener");
      },
    });
    lazy.server.faults.push("reset");
    expect(await lazy.read(0, 100)).toSatisfy(bytes(lazy.fixture.plain.subarray(0, 100)));
  });

  it("rejects completing when chunks are wrong", async () => {
    await using lazy = await lazyFixture([50_000]);
    lazy.server.faults.push("wrong", "wrong");
    await expect(lazy.blob.complete()).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
    expect(lazy.blob.isComplete).toBe(false);
  });

  it.skipIf(process.getuid?.() !== 0 && process.env["CI"] !== "true")(
    "goes on reading when the disk is full (needs root to mount a tmpfs)",
    async () => {
      const fixture = await writeBlob(Array.from({ length: 8 }, () => 200_000));
      await using scratch = await scratchDirectory();
      const directory = join(scratch.path, "small");
      await mkdir(directory);
      await run("mount", ["-t", "tmpfs", "-o", "size=256k", "none", directory]);
      try {
        await using lazy = await lazyFixture(fixture, { ...exact, directory });
        expect(await lazy.read(0, fixture.plain.length)).toSatisfy(bytes(fixture.plain));
        expect(await lazy.read(0, fixture.plain.length)).toSatisfy(bytes(fixture.plain));
        await expect.poll(() => lazy.events.map(({ type }) => type)).toContain("cache-failed");
        await expect(lazy.blob.complete()).rejects.toMatchObject({ code: "IO_ERROR" });
        await lazy.blob.flush();
        expect(await wronglyMarked(directory, fixture)).toEqual([]);
      } finally {
        await run("umount", [directory]);
      }
    },
  );
});
