import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { openLazyBlob } from "../../src/lazy/lazy-blob.ts";
import { writeBlob, type BlobFixture } from "./blob-fixture.ts";
import {
  bytes,
  exact,
  lazySource,
  markedChunks,
  scratchDirectory,
  wronglyMarked,
} from "./lazy-fixture.ts";
import { startRangeServer, type RangeServer } from "./range-server.ts";

interface FillOptions {
  readonly fixture: BlobFixture;
  readonly server: RangeServer;
  readonly directory: string;
  /** Kills the process when so many requests have been made; never when absent */
  readonly killAfter?: number;
}

/** Fetches in a process of its own. @returns what it wrote: chunks that were there, and whether it came to the end */
async function fill({ fixture, server, directory, killAfter }: FillOptions): Promise<string[]> {
  const description = join(directory, "fixture.json");
  const digests = fixture.digests.map((digest) => digest.toString("hex"));
  await writeFile(description, JSON.stringify({ blob: fixture.blob, digests }));
  const program = fileURLToPath(new URL("fill-process.ts", import.meta.url));
  const conditions = "--conditions=@longshore/source";
  const args = ["--no-warnings", conditions, program, directory, server.url, description];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  if (killAfter !== undefined) {
    await expect
      .poll(() => server.requests.length >= killAfter, { timeout: 40_000, interval: 1 })
      .toBe(true);
    child.kill("SIGKILL");
  }
  await exited;
  return lines;
}

describe("a process that is killed while it fetches", () => {
  it("leaves nothing marked that is wrong, and the next one goes on", async () => {
    const fixture = await writeBlob(Array.from({ length: 250 }, (_, at) => 9_000 + at * 61));
    await using scratch = await scratchDirectory();
    await using server = await startRangeServer(fixture.stored);
    const directory = scratch.path;
    let marked: number[] = [];
    for (const killAfter of [4, 9, 6, 12]) {
      server.requests.length = 0;
      await fill({ fixture, server, directory, killAfter });
      expect(await wronglyMarked(directory, fixture)).toEqual([]);
      const now = await markedChunks(directory, fixture);
      expect(now).toEqual(expect.arrayContaining(marked));
      marked = now;
    }
    expect(marked.length).toBeGreaterThan(0);
    const lines = await fill({ fixture, server, directory });
    expect(lines).toEqual([String(marked.length), "complete"]);
    await server.kill();
    await using blob = await openLazyBlob({ ...lazySource(fixture, server), ...exact, directory });
    expect(await blob.verify()).toEqual({ checked: 250, damaged: [] });
    const all = Buffer.alloc(fixture.plain.length);
    await blob.read(0, all);
    expect(all).toSatisfy(bytes(fixture.plain));
  });

  it("shares what it fetches with another process", async () => {
    const fixture = await writeBlob(Array.from({ length: 60 }, () => 20_000));
    await using scratch = await scratchDirectory();
    await using server = await startRangeServer(fixture.stored);
    const directory = scratch.path;
    await using blob = await openLazyBlob({ ...lazySource(fixture, server), ...exact, directory });
    await blob.read(0, Buffer.alloc(100));
    expect(await fill({ fixture, server, directory })).toContain("complete");
    server.requests.length = 0;
    const all = Buffer.alloc(fixture.plain.length);
    await blob.read(0, all);
    expect(all).toSatisfy(bytes(fixture.plain));
    expect(server.requests).toEqual([]);
  });
});
