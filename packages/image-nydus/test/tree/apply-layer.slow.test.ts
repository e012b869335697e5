import { Readable } from "node:stream";
import { createGunzip, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { applyLayer } from "../../src/tree/apply-layer.ts";
import { createTree } from "../../src/tree/file-tree.ts";
import { countTree } from "../../src/tree/walk-tree.ts";
import { readTar } from "../../src/tar/tar-reader.ts";
import { base256, headerBlock } from "../tar/tar-blocks.ts";
import { file } from "./layer-entries.ts";
import { memoryChunkStore } from "./memory-chunk-store.ts";
import { listLayers } from "./tree-of-archive.ts";

const giga = 2 ** 30;

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

describe("a layer of enormous size", () => {
  it("of 10 GB of zeros in 10 MB is read in little memory and stored as one chunk", async () => {
    const size = 10 * giga;
    const header = headerBlock({ name: "zeros", raw: { 124: base256(BigInt(size), 12) } });
    const zeros = gzipSync(Buffer.alloc(giga / 16));
    const parts = [gzipSync(header), ...Array.from({ length: 160 }, () => zeros)];
    expect(Buffer.concat(parts).length).toBeLessThan(11_000_000);
    const store = memoryChunkStore();
    const tree = createTree();
    const rise = await memoryRise(async () => {
      const layer = Readable.from(parts).pipe(createGunzip({ chunkSize: 2 ** 18 }));
      await applyLayer(tree, readTar(layer), store);
    });
    const zeroFile = tree.root.children.get("zeros");
    expect(zeroFile).toMatchObject({ kind: "file", size });
    expect(zeroFile?.kind === "file" ? zeroFile.chunks.length : 0).toBe(10_240);
    expect(store.storedBytes).toBe(2 ** 20);
    expect(rise).toBeLessThan(200 * 2 ** 20);
  });

  it("of a million files is applied", async () => {
    const tree = createTree();
    async function* source(): AsyncGenerator<Buffer> {
      for (let folder = 0; folder < 1_000; folder++) {
        const entries = Array.from({ length: 999 }, (_, index) => file(`${folder}/${index}`, ""));
        yield Buffer.concat(entries);
      }
    }
    const rise = await memoryRise(() =>
      applyLayer(tree, readTar(source()), { storeFile: () => Promise.resolve([]) }),
    );
    expect(countTree(tree.root)).toMatchObject({ inodes: 1_000_001, directories: 1_001 });
    expect(rise).toBeLessThan(700 * 2 ** 20);
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
