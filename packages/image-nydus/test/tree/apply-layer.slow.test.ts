import { Readable } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createGunzip, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { applyLayer } from "../../src/tree/apply-layer.ts";
import { createTree, rootInode } from "../../src/tree/file-tree.ts";
import { countTree } from "../../src/tree/walk-tree.ts";
import { readTar } from "../../src/tar/tar-reader.ts";
import { base256, headerBlock } from "../tar/tar-blocks.ts";
import { file } from "./layer-entries.ts";
import { memoryChunkStore } from "./memory-chunk-store.ts";
import { listLayers } from "./tree-of-archive.ts";

const isFull = process.env["LONGSHORE_TEST_SCALE"] === "full";
const giga = 2 ** 30;
const zeroGigabytes = isFull ? 10 : 1;
const folders = isFull ? 1_000 : 100;

/** The most memory that the process had while something ran, above what it had before */
async function memoryRise(run: () => Promise<void>): Promise<number> {
  const before = process.memoryUsage.rss();
  let most = before;
  const timer = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 20);
  try {
    await run();
  } finally {
    clearInterval(timer);
  }
  return Math.max(most, process.memoryUsage.rss()) - before;
}

/** Bytes of what is not garbage */
function memoryInUse(): number {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

describe("a layer of enormous size", () => {
  it(`of ${zeroGigabytes} GB of zeros in ${zeroGigabytes} MB is read in little memory and stored as one chunk`, async () => {
    const size = zeroGigabytes * giga;
    const header = headerBlock({ name: "zeros", raw: { 124: base256(BigInt(size), 12) } });
    const zeros = gzipSync(Buffer.alloc(giga / 16));
    const parts = [gzipSync(header), ...Array.from({ length: zeroGigabytes * 16 }, () => zeros)];
    expect(Buffer.concat(parts).length).toBeLessThan(zeroGigabytes * 1_100_000);
    const tree = createTree();
    const store = memoryChunkStore(tree.chunks);
    const rise = await memoryRise(async () => {
      const layer = Readable.from(parts).pipe(createGunzip({ chunkSize: 2 ** 18 }));
      await applyLayer(tree, readTar(layer), store);
    });
    const zeroFile = tree.getInode(tree.find(rootInode, "zeros") ?? rootInode);
    expect(zeroFile).toMatchObject({ kind: "file", size });
    expect(zeroFile.kind === "file" ? zeroFile.chunks.length : 0).toBe(zeroGigabytes * 1_024);
    expect(store.storedBytes).toBe(2 ** 20);
    expect(rise).toBeLessThan(200 * 2 ** 20);
  });

  it(`of ${folders * 1_000} files is applied`, async () => {
    const tree = createTree();
    async function* source(): AsyncGenerator<Buffer> {
      for (let folder = 0; folder < folders; folder++) {
        const entries = Array.from({ length: 999 }, (_, index) => file(`${folder}/${index}`, ""));
        yield Buffer.concat(entries);
      }
    }
    const before = memoryInUse();
    await applyLayer(tree, readTar(source()), { storeFile: () => Promise.resolve([]) });
    const kept = memoryInUse() - before;
    expect(countTree(tree)).toMatchObject({
      inodes: folders * 1_000 + 1,
      directories: folders + 1,
    });
    // 150 bytes for each file
    expect(kept).toBeLessThan(folders * 150_000);
  });

  it("of more than a million entries is refused", async () => {
    let sent = 0;
    async function* source(): AsyncGenerator<Buffer> {
      const block = Buffer.concat(Array.from({ length: 1_000 }, () => file("same", "")));
      for (;;) {
        sent += 1_000;
        yield block;
      }
    }
    await expect(listLayers([source()])).rejects.toMatchObject({
      details: { limit: "maxEntries" },
    });
    expect(sent).toBeLessThan(1_010_000);
  });
});
