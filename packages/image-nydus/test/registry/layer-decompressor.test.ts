import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { layerDecompressor, mediaTypes } from "../../src/registry/index.ts";
import { collect } from "./collect.ts";
import { temporaryDirectory } from "./sample-image.ts";

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += size)
    yield bytes.subarray(start, start + size);
}

const skippable = Buffer.concat([
  Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 5, 0, 0, 0]),
  Buffer.from("12345"),
]);
const first = Buffer.concat([Buffer.alloc(200_000, "a"), randomBytes(300_000)]);
const second = randomBytes(50_000);
const both = Buffer.concat([first, second]);

describe("layerDecompressor", () => {
  test.for([1 << 20, 65_536, 4_093])("reads every form in pieces of %i bytes", async (size) => {
    const forms = {
      none: both,
      gzip: gzipSync(both),
      "gzip members": Buffer.concat([gzipSync(first), gzipSync(second)]),
      zstd: zstdCompressSync(both),
      "zstd frames": Buffer.concat([zstdCompressSync(first), zstdCompressSync(second)]),
      "zstd with skippable frames": Buffer.concat([
        skippable,
        zstdCompressSync(first),
        skippable,
        skippable,
        zstdCompressSync(second),
        skippable,
      ]),
    };
    for (const [name, bytes] of Object.entries(forms)) {
      const read = await collect(layerDecompressor("")(pieces(bytes, size)));
      expect(read.equals(both), name).toBe(true);
    }
  });

  test("reads zstd frames wherever they are cut", async () => {
    const frames = [first.subarray(0, 3_000), Buffer.alloc(0), second.subarray(0, 700)];
    const packed = Buffer.concat(frames.flatMap((frame) => [zstdCompressSync(frame), skippable]));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: packed.length }), async (size) => {
        const read = await collect(layerDecompressor("")(pieces(packed, size)));
        expect(read.equals(Buffer.concat(frames))).toBe(true);
      }),
      { numRuns: 60, examples: [[1], [2], [3]] },
    );
  });

  test("reads what zstd itself writes with checksums and threads", async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "data");
    await writeFile(file, both);
    for (const flags of [
      ["-1", "--check"],
      ["-19", "--no-check"],
      ["-T4", "-B64KiB"],
      ["--long=27"],
    ]) {
      const packed = execFileSync("zstd", ["-q", "-c", ...flags, file], { maxBuffer: 1 << 26 });
      const twice = Buffer.concat([packed, packed]);
      const read = await collect(layerDecompressor("")(pieces(twice, 65_536)));
      expect(read.equals(Buffer.concat([both, both])), flags.join(" ")).toBe(true);
    }
  });

  test("goes by the bytes when the media type lies", async () => {
    const asTar = layerDecompressor(mediaTypes.ociLayer);
    expect((await collect(asTar(pieces(gzipSync(both), 9_999)))).equals(both)).toBe(true);
    const asGzip = layerDecompressor(mediaTypes.ociLayerGzip);
    expect((await collect(asGzip(pieces(both, 9_999)))).equals(both)).toBe(true);
  });

  test("leaves a tar alone whose first name looks like gzip", async () => {
    const tar = Buffer.alloc(1_024);
    tar.set([0x1f, 0x8b], 0);
    tar.write("ustar", 257);
    const read = await collect(layerDecompressor(mediaTypes.ociLayer)(pieces(tar, 100)));
    expect(read.equals(tar)).toBe(true);
  });

  test("gives nothing for nothing", async () => {
    expect(await collect(layerDecompressor("")(pieces(Buffer.alloc(0), 1)))).toHaveLength(0);
  });

  test.for([
    ["gzip cut off", gzipSync(both).subarray(0, -5)],
    ["zstd cut off", zstdCompressSync(both).subarray(0, -5)],
    [
      "zstd cut off in its header",
      Buffer.concat([zstdCompressSync(second), Buffer.from([0x28, 0xb5, 0x2f])]),
    ],
    [
      "skippable frame cut off",
      Buffer.concat([zstdCompressSync(second), skippable.subarray(0, -1)]),
    ],
    ["gzip with trailing garbage", Buffer.concat([gzipSync(both), Buffer.from("garbage!")])],
    [
      "zstd with trailing garbage",
      Buffer.concat([zstdCompressSync(both), Buffer.from("garbage!")]),
    ],
    ["damaged gzip", damaged(gzipSync(both))],
    ["damaged zstd", damaged(zstdCompressSync(both, { params: { 201: 1 } }))],
  ] as const)("refuses %s", async ([, bytes]) => {
    await expect(collect(layerDecompressor("")(pieces(bytes, 65_536)))).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  test("stops a bomb at the limit", async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    let size = 0;
    const read = async (): Promise<void> => {
      for await (const piece of layerDecompressor("", { maxBytes: 1_000_000 })(
        pieces(bomb, 1_000),
      )) {
        size += piece.length;
      }
    };
    await expect(read()).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    expect(size).toBeLessThanOrEqual(1_000_000);
  });

  test("passes errors of the source on, and ends the source with its reader", async () => {
    const failure = new Error("disk on fire");
    let isEnded = false;
    async function* failing(): AsyncGenerator<Buffer> {
      try {
        yield gzipSync(both).subarray(0, 100_000);
        throw failure;
      } finally {
        isEnded = true;
      }
    }
    await expect(collect(layerDecompressor("")(failing()))).rejects.toBe(failure);
    expect(isEnded).toBe(true);

    isEnded = false;
    async function* endless(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield gzipSync(both);
      } finally {
        isEnded = true;
      }
    }
    for await (const piece of layerDecompressor("")(endless())) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    await expect.poll(() => isEnded).toBe(true);
  });
});

function damaged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.fill(0xff, bytes.length >> 1, (bytes.length >> 1) + 64);
  return copy;
}
