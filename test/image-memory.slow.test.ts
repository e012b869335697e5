import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { createGzip } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { imagePrograms } from "../bench/image-programs.ts";
import type { PullMeasurement } from "../bench/image-pull-program.ts";
import { writeOciImage, type MadeLayer } from "../packages/image-nydus/test/store/oci-image.ts";
import {
  base256,
  endMark,
  headerBlock,
  tarEntry,
} from "../packages/image-nydus/test/tar/tar-blocks.ts";

// `npm run bench -- image` and docs/image-nydus.md promise it.
const most = 250_000_000;
const isFull = process.env["LONGSHORE_TEST_SCALE"] === "full";
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-memory-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function* withEnd(pieces: Iterable<Buffer>): Generator<Buffer> {
  yield* pieces;
  yield endMark;
}

/** Packs an archive piece by piece. */
async function layerOf(pieces: Iterable<Buffer>): Promise<MadeLayer> {
  const hash = createHash("sha256");
  const gzip = createGzip({ level: 1 });
  const stored = buffer(gzip);
  for (const piece of withEnd(pieces)) {
    hash.update(piece);
    if (!gzip.write(piece)) await once(gzip, "drain");
  }
  gzip.end();
  const diffId = `sha256:${hash.digest("hex")}`;
  return { tar: Buffer.alloc(0), diffId, stored: await stored };
}

/** The most memory that a process has had which pulled and mounted an image of that archive. */
async function peakOf(pieces: Iterable<Buffer>): Promise<number> {
  const layout = join(directory, "layout");
  await writeOciImage(layout, "image", { layers: [await layerOf(pieces)] });
  const runProgram = await imagePrograms(join(directory, "programs"));
  const measured = (await runProgram(
    "pull",
    { network: "host" },
    `oci:${layout}:image`,
    join(directory, "pulled"),
  )) as PullMeasurement;
  return measured.peakBytes;
}

const release = tarEntry({ name: "etc/os-release" }, "ID=test\n");

function* manySmallFiles(count: number): Generator<Buffer> {
  yield release;
  for (let number = 0; number < count; number += 1) {
    const folder = Math.floor(number / 100);
    const name = `usr/lib/node_modules/package-${folder}/some-module-${number}.js`;
    yield tarEntry({ name, mtime: 1_600_000_000 + number }, `export const number = ${number};\n`);
  }
}

function* oneBigFile(size: number): Generator<Buffer> {
  yield release;
  yield headerBlock({ name: "big", raw: { 124: base256(BigInt(size), 12) } });
  for (let position = 0; position < size; position += 1_048_576) {
    const piece = Buffer.alloc(Math.min(1_048_576, size - position));
    // No chunk is like another one.
    piece.writeDoubleLE(position + 1);
    yield piece;
  }
}

describe.skipIf(process.getuid?.() !== 0)("a process that pulls an image (needs root)", () => {
  // The last is all but as many as an image may have. With objects for files, the first would take more, too.
  it.each(isFull ? [200_000, 990_000] : [100_000])(
    "of %d small files has little memory",
    async (count) => {
      expect(await peakOf(manySmallFiles(count))).toBeLessThan(isFull ? most : 190_000_000);
    },
  );

  it.each(isFull ? [1_024] : [300])("of a file of %d MiB has little memory", async (mebibytes) => {
    expect(await peakOf(oneBigFile(mebibytes * 2 ** 20))).toBeLessThan(most);
  });
});
