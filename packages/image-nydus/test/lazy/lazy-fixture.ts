import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeChunkMap, hasBit } from "../../src/lazy/chunk-map.ts";
import { openLazyBlob, type LazyBlob } from "../../src/lazy/lazy-blob.ts";
import type { LazyBlobOptions, LazyBlobSource } from "../../src/lazy/lazy-blob-options.ts";
import type { LazyEvent } from "../../src/lazy/lazy-event.ts";
import { lazyFiles } from "../../src/lazy/lazy-files.ts";
import { lazyMetrics, type LazyStats } from "../../src/lazy/lazy-metrics.ts";
import { writeBlob, type BlobFixture } from "./blob-fixture.ts";
import { startRangeServer, type RangeServer } from "./range-server.ts";

export interface ScratchDirectory extends AsyncDisposable {
  readonly path: string;
}

export async function scratchDirectory(): Promise<ScratchDirectory> {
  const path = await mkdtemp(join(tmpdir(), "longshore-lazy-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A blob on a server, opened in a directory of its own. */
export interface LazyFixture extends AsyncDisposable {
  readonly fixture: BlobFixture;
  readonly server: RangeServer;
  readonly directory: string;
  readonly blob: LazyBlob;
  readonly events: LazyEvent[];
  stats(): LazyStats;
  /** Reads and gives the bytes. */
  read(offset: number, length: number): Promise<Buffer>;
  /** Closes the blob and opens it anew, in the same directory. */
  reopen(): Promise<LazyFixture>;
}

export type FixtureOptions = Partial<LazyBlobOptions>;

/** Retries that take no time worth mentioning */
export const fast: FixtureOptions = { backoffMs: 1, stallTimeoutMs: 300 };
/** Nothing is fetched but what is read */
export const exact: FixtureOptions = { ...fast, readahead: { minBytes: 0, maxBytes: 0 } };

export async function lazyFixture(
  fixture: BlobFixture | readonly number[],
  options: FixtureOptions = exact,
): Promise<LazyFixture> {
  const blob = "blob" in fixture ? fixture : await writeBlob(fixture);
  const scratch = await scratchDirectory();
  const server = await startRangeServer(blob.stored);
  try {
    return await open({ fixture: blob, server, scratch, options });
  } catch (error) {
    await server[Symbol.asyncDispose]();
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}

interface Parts {
  readonly fixture: BlobFixture;
  readonly server: RangeServer;
  readonly scratch: ScratchDirectory;
  readonly options: FixtureOptions;
}

async function open(parts: Parts): Promise<LazyFixture> {
  const { fixture, server, scratch, options } = parts;
  const events: LazyEvent[] = [];
  const metrics = lazyMetrics();
  const blob = await openLazyBlob({
    ...lazySource(fixture, server),
    directory: scratch.path,
    metrics,
    onEvent: (event) => events.push(event),
    ...options,
  });
  return {
    fixture,
    server,
    directory: scratch.path,
    blob,
    events,
    stats: metrics.stats,
    async read(offset, length) {
      const target = Buffer.alloc(length, 0xee);
      await blob.read(offset, target);
      return target;
    },
    async reopen() {
      await blob[Symbol.asyncDispose]();
      return open(parts);
    },
    async [Symbol.asyncDispose]() {
      await blob[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

/** Compares bytes much faster than `toEqual` does. */
export function bytes(expected: Buffer): (actual: Buffer) => boolean {
  return (actual) => actual.equals(expected);
}

/** What the image says of a fixture's blob. */
export function lazySource(
  { blob, digests }: BlobFixture,
  server: Pick<RangeServer, "fetchRange">,
): LazyBlobSource {
  return {
    blob,
    fetchRange: server.fetchRange,
    digestOf: ({ index }) => digests[index] ?? Buffer.alloc(0),
  };
}

/** Numbers of the chunks that the map on disk says are there. */
export async function markedChunks(directory: string, fixture: BlobFixture): Promise<number[]> {
  const { blob } = fixture;
  const map = decodeChunkMap(await readFile(lazyFiles(directory, blob.id).map), blob.chunkCount);
  return fixture.sizes.flatMap((_, index) =>
    map !== undefined && (map.isAllReady || hasBit(map.bits, index)) ? [index] : [],
  );
}

/** Of the chunks that are marked on disk, those whose bytes are wrong. */
export async function wronglyMarked(directory: string, fixture: BlobFixture): Promise<number[]> {
  const data = await readFile(lazyFiles(directory, fixture.blob.id).data);
  const marked = await markedChunks(directory, fixture);
  return marked.filter((index) => {
    const from = fixture.offsets[index] ?? 0;
    const to = from + (fixture.sizes[index] ?? 0);
    return !data.subarray(from, to).equals(fixture.plain.subarray(from, to));
  });
}
