import { createHash } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import { blake3 } from "hash-wasm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readBlobMeta } from "../../src/rafs/blob-meta.ts";
import { encodeBlobMetaHeader } from "../../src/rafs/blob-meta-header.ts";
import { readToc } from "../../src/rafs/blob-toc.ts";
import {
  blobWriter,
  type BlobWriterOptions,
  type FinishedBlob,
} from "../../src/rafs/blob-writer.ts";
import { decodeChunkInfo, encodeChunkInfo } from "../../src/rafs/chunk-info.ts";
import { decodeChunk } from "../../src/rafs/decode-chunk.ts";
import { memorySink } from "./memory-sink.ts";

const sha256 = (bytes: Buffer): Buffer => createHash("sha256").update(bytes).digest();

async function blobOf(
  contents: readonly Buffer[],
  options: BlobWriterOptions = {},
): Promise<{ blob: FinishedBlob; bytes: Buffer }> {
  const sink = memorySink();
  const writer = blobWriter(sink, { chunkSize: 65_536, ...options });
  for (const content of contents) await writer.append(content, sha256(content));
  return { blob: await writer.finish(), bytes: sink.bytes() };
}

const contents = [
  Buffer.alloc(1, 1),
  Buffer.alloc(65_536, 2),
  Buffer.alloc(4096, 3),
  Buffer.from("end"),
];

function tableOf({ blob, bytes }: { blob: FinishedBlob; bytes: Buffer }): Buffer {
  const { offset, compressedSize } = blob.chunkTable;
  return bytes.subarray(offset, offset + compressedSize + 4096);
}

describe("a blob", () => {
  it("has its chunks at multiples of 4 KiB, zeros between them, and the table behind", async () => {
    const { blob, bytes } = await blobOf(contents);

    expect(blob.id).toBe(sha256(bytes).toString("hex"));
    expect(blob).toMatchObject({ dataSize: 4096 + 65_536 + 8192, chunkCount: 4 });
    expect(bytes.subarray(4096, 4096 + 65_536)).toEqual(contents[1]);
    expect(bytes.subarray(1, 4096).every((byte) => byte === 0)).toBe(true);
    expect(bytes).toHaveLength(blob.compressedSize);
  });

  it("has the same places in its uncompressed space when it is compressed", async () => {
    const plain = await blobOf(contents);
    const packed = await blobOf(contents, { compressor: "zstd", toc: true });
    const [plainMeta, packedMeta] = [readBlobMeta(tableOf(plain)), readBlobMeta(tableOf(packed))];

    const places = (meta: typeof plainMeta): unknown =>
      contents.map((_, index) => [meta.chunk(index).offset, meta.chunk(index).size]);

    expect(places(packedMeta)).toEqual(places(plainMeta));
    expect(packed.blob.uncompressedSize).toBe(plain.blob.uncompressedSize);
    expect(packedMeta.chunk(1).compressed).toBe(true);
    expect(packedMeta.chunk(0)).toMatchObject({ compressed: false, storedSize: 1 });
    for (const [index, content] of contents.entries()) {
      const chunk = packedMeta.chunk(index);
      const stored = packed.bytes.subarray(
        chunk.storedOffset,
        chunk.storedOffset + chunk.storedSize,
      );
      const digest = sha256(content);
      expect(await decodeChunk(stored, { chunk, digest, ...packed.blob })).toEqual(content);
      expect(packed.blob.stored?.(index)).toEqual({
        offset: chunk.storedOffset,
        size: chunk.storedSize,
      });
    }
  });

  it("ends with a list of its sections that leads to each of them", async () => {
    const { blob, bytes } = await blobOf(contents, { compressor: "zstd", toc: true });
    const toc = readToc(bytes.subarray(-16_384));
    const section = (name: string): Buffer => {
      const entry = toc.entries.find((candidate) => candidate.name === name);
      return bytes.subarray(entry?.offset, (entry?.offset ?? 0) + (entry?.compressedSize ?? 0));
    };

    expect(toc.entries.map(({ name }) => name)).toEqual([
      "image.blob",
      "blob.meta",
      "blob.meta.header",
      "blob.digest",
    ]);
    expect(blob.toc).toEqual({ size: toc.size, digest: toc.digest });
    expect(section("image.blob")).toHaveLength(blob.dataSize);
    expect(blob.chunkTable.offset).toBe(blob.dataSize + 512);
    expect(section("blob.digest")).toEqual(Buffer.concat(contents.map(sha256)));
    expect(Buffer.concat([section("blob.meta"), section("blob.meta.header")])).toEqual(
      tableOf({ blob, bytes }),
    );
    expect(bytes.toString("latin1", blob.dataSize, blob.dataSize + 10)).toBe("image.blob");
  });

  it("refuses to be empty, to go on after its end, and chunks of a wrong size", async () => {
    const writer = blobWriter(memorySink(), { chunkSize: 4096 });
    const invalid = { code: "VALIDATION_ERROR" };

    await expect(writer.finish()).rejects.toMatchObject(invalid);
    await expect(writer.append(Buffer.alloc(0), sha256(Buffer.alloc(0)))).rejects.toMatchObject(
      invalid,
    );
    await expect(writer.append(Buffer.alloc(4097), sha256(Buffer.alloc(1)))).rejects.toMatchObject(
      invalid,
    );
    await writer.append(Buffer.alloc(1), sha256(Buffer.alloc(1)));
    await writer.finish();
    await expect(writer.finish()).rejects.toMatchObject(invalid);
    await expect(writer.append(Buffer.alloc(1), sha256(Buffer.alloc(1)))).rejects.toMatchObject(
      invalid,
    );
    expect(() => blobWriter(memorySink(), { chunkSize: 5000 })).toThrow(/power of two/u);
  });
});

describe("the chunk table of a blob", () => {
  it("finds a chunk by each of its bytes, and none in the padding", async () => {
    const meta = readBlobMeta(tableOf(await blobOf(contents)));

    expect(meta.find(0)?.index).toBe(0);
    expect(meta.find(1)).toBeUndefined();
    expect(meta.find(4095)).toBeUndefined();
    expect(meta.find(4096)?.index).toBe(1);
    expect(meta.find(4096 + 65_535)?.index).toBe(1);
    expect(meta.find(4096 + 65_536 + 4096 + 2)?.index).toBe(3);
    expect(meta.find(4096 + 65_536 + 4096 + 3)).toBeUndefined();
    expect(() => meta.chunk(4)).toThrow(RangeError);
  });

  it("keeps any place and size in 16 bytes", () => {
    const place = fc.record({
      index: fc.constant(0),
      offset: fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((block) => block * 4096),
      size: fc.integer({ min: 1, max: 2 ** 24 }),
      storedOffset: fc.maxSafeInteger().map((value) => Math.abs(value) % 2 ** 40),
      storedSize: fc.integer({ min: 1, max: 2 ** 24 }),
    });
    fc.assert(
      fc.property(place, (chunk) => {
        const expected = { ...chunk, compressed: chunk.size !== chunk.storedSize };
        const bytes = Buffer.alloc(16);
        encodeChunkInfo(bytes, 0, expected);
        expect(decodeChunkInfo(bytes, 0, "v1")).toEqual(expected);
      }),
    );
  });

  it("is read in its second version", () => {
    const table = Buffer.alloc(48);
    // Block 0, 5,000 bytes, compressed and with a CRC; 77 bytes at 2^32 + 5.
    table.writeUInt32LE(0, 0);
    table.writeUInt32LE(4999 + 0x1100_0000, 4);
    table.writeUInt32LE(5, 8);
    table.writeUInt32LE(1 | (76 << 8), 12);
    table.writeUInt32LE(0xdead_beef, 16);
    // Block 2, 10 bytes, plain; at 0.
    table.writeUInt32LE(2, 24);
    table.writeUInt32LE(9, 28);
    table.writeUInt32LE(9 << 8, 36);
    const header = encodeBlobMetaHeader({
      features: 0x4000_0005,
      compressor: "none",
      chunkCount: 2,
      offset: 2 ** 33,
      compressedSize: 48,
      uncompressedSize: 48,
    });

    const meta = readBlobMeta(Buffer.concat([table, header]));

    expect(meta.chunk(0)).toEqual({
      index: 0,
      offset: 0,
      size: 5000,
      storedOffset: 2 ** 32 + 5,
      storedSize: 77,
      compressed: true,
      crc32c: 0xdead_beef,
    });
    expect(meta.find(8192)).toMatchObject({ index: 1, size: 10, compressed: false });
  });

  it("is read from a cache file, plain and padded", async () => {
    const packed = await blobOf(
      Array.from({ length: 300 }, () => Buffer.alloc(1000, 1)),
      { compressor: "zstd" },
    );
    const inBlob = tableOf(packed);
    expect(packed.blob.chunkTable.compressor).toBe("zstd");
    const meta = readBlobMeta(inBlob, packed);
    const plain = Buffer.alloc(8192);
    for (let index = 0; index < 300; index += 1)
      encodeChunkInfo(plain, index * 16, meta.chunk(index));

    const cached = readBlobMeta(Buffer.concat([plain, inBlob.subarray(-4096)]), {
      ...packed,
      form: "cache",
    });

    expect(cached.chunk(299)).toEqual(meta.chunk(299));
  });

  it.each<[string, (bytes: Buffer) => Buffer | void]>([
    ["blob-meta-size", () => Buffer.alloc(100)],
    ["blob-meta-magic", (bytes) => void bytes.writeUInt8(0, bytes.length - 1)],
    ["blob-meta-header", (bytes) => void bytes.writeUInt32LE(9, bytes.length - 4096 + 8)],
    ["unsupported", (bytes) => void bytes.writeUInt32LE(0x4000_000d, bytes.length - 4096 + 4)],
    ["blob-chunk-count", (bytes) => void bytes.writeUInt32LE(0, bytes.length - 4096 + 12)],
    ["blob-meta-size", (bytes) => void bytes.writeUInt32LE(5, bytes.length - 4096 + 12)],
    ["blob-meta-header", (bytes) => void bytes.writeUInt32LE(5, bytes.length - 4096 + 16)],
    ["blob-meta-size", (bytes) => bytes.subarray(1)],
    ["blob-meta-chunk", (bytes) => void bytes.writeUInt32LE(0x2000, 16)],
    ["blob-meta-chunk", (bytes) => void bytes.writeUInt32LE(0xffff_ffff, 8)],
  ])("is refused with %s when it is damaged", async (rule, damage) => {
    const built = await blobOf(contents);
    const bytes = Buffer.from(tableOf(built));

    expect(() => readBlobMeta(damage(bytes) ?? bytes, built)).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ rule }) }),
    );
  });

  it("answers any damage with an error or a table", async () => {
    const built = await blobOf(contents, { compressor: "zstd" });
    const valid = tableOf(built);
    fc.assert(
      fc.property(fc.nat(valid.length - 1), fc.nat(255), (at, value) => {
        const bytes = Buffer.from(valid);
        bytes[at] = value;
        try {
          readBlobMeta(bytes).find(5000);
        } catch (error) {
          expect(error).toHaveProperty("details.rule");
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("a chunk", () => {
  const content = Buffer.from("chunk ".repeat(100));

  it("is refused when its bytes have another digest or size", async () => {
    const chunk = { size: content.length, compressed: true };
    const expected = {
      chunk,
      compressor: "zstd",
      digester: "sha256",
      digest: sha256(content),
    } as const;
    const wrong = Buffer.from(content);
    wrong[5] = 0;

    await expect(decodeChunk(zstdCompressSync(content), expected)).resolves.toEqual(content);
    await expect(decodeChunk(zstdCompressSync(wrong), expected)).rejects.toMatchObject({
      details: { rule: "chunk-digest" },
    });
    for (const bytes of [
      zstdCompressSync(content.subarray(1)),
      zstdCompressSync(Buffer.alloc(2 ** 24)),
      content,
    ]) {
      await expect(decodeChunk(bytes, expected)).rejects.toMatchObject({
        details: { rule: "chunk-data" },
      });
    }
  });

  it("is checked by BLAKE3 where the image has that", async () => {
    const digest = Buffer.from(await blake3(content), "hex");
    const chunk = { size: content.length, compressed: false };
    const expected = { chunk, compressor: "none", digester: "blake3", digest } as const;

    await expect(decodeChunk(content, expected)).resolves.toEqual(content);
    await expect(
      decodeChunk(content, { ...expected, digest: Buffer.alloc(32) }),
    ).rejects.toMatchObject({
      code: "IMAGE_CHECKSUM_MISMATCH",
    });
  });
});

describe("the list of sections", () => {
  it("is refused when the blob does not end with one", async () => {
    const { bytes } = await blobOf(contents, { toc: true });
    const damaged = Buffer.from(bytes.subarray(-2000));
    damaged[damaged.length - 512 + 124] = 0x37;

    for (const tail of [
      Buffer.alloc(0),
      Buffer.alloc(5000),
      damaged,
      bytes.subarray(-600),
      bytes.subarray(0, 9000),
    ]) {
      expect(() => readToc(tail)).toThrow(expect.objectContaining({ details: { rule: "toc" } }));
    }
  });
});
