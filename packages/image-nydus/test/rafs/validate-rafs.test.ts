import { beforeAll, expect, it } from "vitest";
import { openBootstrap } from "../../src/rafs/open-bootstrap.ts";
import type { RafsRule } from "../../src/rafs/rafs-fault.ts";
import { validateRafs } from "../../src/rafs/validate-rafs.ts";
import { directory, imageBuilder, symlink } from "./image-builder.ts";

/** Places in the image that the cases below damage. */
interface Places {
  readonly blobTable: number;
  readonly chunkTable: number;
  readonly root: number;
  readonly file: number;
  readonly link: number;
  readonly nested: number;
  readonly size: number;
}

let valid: Buffer;
let places: Places;

const superblock = 1024;
const extended = 1152;
const devices = 1408;

beforeAll(async () => {
  const builder = imageBuilder({ chunkSize: 4096, blobs: 2 });
  const file = await builder.file(Buffer.alloc(9000, 1), {
    xattrs: new Map([["user.a", Buffer.from("b")]]),
  });
  const other = await builder.file(Buffer.alloc(100, 2), {}, 1);
  const nested = directory({ inside: other });
  const root = directory({ file, hard: file, link: symlink("target"), nested, other });
  valid = (await builder.finish(root)).bootstrap;
  const filesystem = openBootstrap(valid);
  const meta = valid.readUInt32LE(superblock + 40) * 4096;
  const at = (name: string): number =>
    meta + (filesystem.lookup(filesystem.rootNid, name)?.nid ?? 0) * 32;
  places = {
    blobTable: valid.readUInt32LE(extended + 8),
    chunkTable: valid.readUInt32LE(extended + 24),
    root: meta + filesystem.rootNid * 32,
    file: at("file"),
    link: at("link"),
    nested: at("nested"),
    size: valid.length,
  };
});

const u8 = (at: (p: Places) => number, value: number) => (image: Buffer) => {
  image.writeUInt8(value, at(places));
  return image;
};
const u16 = (at: (p: Places) => number, value: number) => (image: Buffer) => {
  image.writeUInt16LE(value, at(places));
  return image;
};
const u32 = (at: (p: Places) => number, value: number) => (image: Buffer) => {
  image.writeUInt32LE(value, at(places));
  return image;
};
const inSuperblock = (offset: number) => () => superblock + offset;
const inExtended = (offset: number) => () => extended + offset;
const inBlob = (offset: number) => (p: Places) => p.blobTable + offset;
const inChunks = (offset: number) => (p: Places) => p.chunkTable + offset;
const inFile = (offset: number) => (p: Places) => p.file + offset;
// The root's names begin behind its 64 bytes; it has no xattrs.
const inNames = (offset: number) => (p: Places) => p.root + 64 + offset;
// Behind the file's 64 bytes come a header of 12 and one entry of 4 + 1 + 1, padded to 8; then the chunk index.
const inXattr = (offset: number) => (p: Places) => p.file + 64 + 12 + offset;
const inIndex = (offset: number) => (p: Places) => p.file + 88 + offset;

const cases: readonly [RafsRule | "unsupported", string, (image: Buffer) => Buffer][] = [
  ["size", "nothing", () => Buffer.alloc(0)],
  ["size", "less than a superblock", (image) => image.subarray(0, 1100)],
  ["image-size", "less than a block", (image) => image.subarray(0, 2048)],
  [
    "image-alignment",
    "part of a block at the end",
    (image) => Buffer.concat([image, Buffer.alloc(1)]),
  ],
  ["superblock-magic", "another magic number", u32(inSuperblock(0), 1)],
  ["superblock-checksum", "a checksum", u32(inSuperblock(4), 1)],
  ["feature-compat", "no mark of RAFS", u32(inSuperblock(8), 0)],
  ["unsupported", "blocks of 512 bytes", u8(inSuperblock(12), 9)],
  ["block-size", "blocks of 8 KiB", u8(inSuperblock(12), 13)],
  ["superblock-slots", "an extended superblock", u8(inSuperblock(13), 1)],
  ["root-nid", "root number 0", u16(inSuperblock(14), 0)],
  ["inode-count", "no inodes", u32(inSuperblock(16), 0)],
  ["number-range", "2^63 inodes", u32(inSuperblock(20), 0x8000_0000)],
  ["meta-block", "metadata outside of it", u32(inSuperblock(40), 100_000)],
  ["shared-xattrs", "shared xattrs", u32(inSuperblock(44), 1)],
  ["feature-incompat", "an unknown feature", u32(inSuperblock(80), 0x8c)],
  ["compression-field", "compressed files", u16(inSuperblock(84), 1)],
  ["device-count", "more devices than blobs", u16(inSuperblock(86), 3)],
  ["device-count", "more devices than allowed", u16(inSuperblock(86), 255)],
  ["blocks-without-devices", "blocks and no devices", u16(inSuperblock(86), 0)],
  ["device-table-slot", "a device table elsewhere", u16(inSuperblock(88), 12)],
  ["flags", "an unknown flag", u32(inExtended(4), 1)],
  ["flags", "an unknown low flag", u32(inExtended(0), 0x0100_0439)],
  ["flags-compressor", "two compressors", u32(inExtended(0), 0x0100_00b9)],
  ["flags-compressor", "no compressor", u32(inExtended(0), 0x0100_0038)],
  ["flags-digester", "two digesters", u32(inExtended(0), 0x0100_003d)],
  ["flags-digester", "no digester", u32(inExtended(0), 0x0100_0031)],
  ["unsupported", "the mode over tar files", u32(inExtended(0), 0x0100_0239)],
  ["unsupported", "encryption", u32(inExtended(0), 0x0200_0039)],
  ["blob-table-range", "a blob table that is not aligned", u32(inExtended(8), 4100)],
  ["blob-table-range", "a blob table outside", u32(inExtended(8), 0x1000_0000)],
  ["blob-table-range", "a blob table in the superblock", u32(inExtended(8), 0)],
  ["blob-table-size", "part of a blob", u32(inExtended(16), 511)],
  ["chunk-size", "chunks of 3,000 bytes", u32(inExtended(20), 3000)],
  ["chunk-size", "chunks of 32 MiB", u32(inExtended(20), 2 ** 25)],
  ["chunk-table-range", "a chunk table outside", u32(inExtended(24), 0x1000_0000)],
  ["chunk-table-range", "a chunk table that is not aligned", u32(inExtended(24), 4104)],
  ["chunk-table-size", "part of a chunk", u32(inExtended(32), 81)],
  ["table-overlap", "a chunk table in the blob table", u32(inExtended(24), 4096)],
  [
    "prefetch-table-range",
    "a prefetch table in the superblock",
    (image) => u32(inExtended(48), 4)(u32(inExtended(40), 1024)(image)),
  ],
  [
    "prefetch-table-size",
    "part of a number to prefetch",
    (image) => u32(inExtended(48), 3)(u32(inExtended(40), 8000)(image)),
  ],
  [
    "table-overlap",
    "a prefetch table in the blob table",
    (image) => u32(inExtended(48), 4)(u32(inExtended(40), 4096)(image)),
  ],
  ["device-id", "a device of another name", u8(() => devices, 0x7a)],
  ["device-blocks", "a device without blocks", u32(() => devices + 64, 0)],
  ["device-blocks", "a device shorter than its blob", u32(() => devices + 64, 1)],
  ["device-mapping", "a device mapped onto the image", u32(() => devices + 68, 1)],
  ["device-mapping", "two devices mapped onto each other", u32(() => devices + 128 + 68, 128)],
  ["blob-id", "a blob without a digest as its name", u8(inBlob(0), 0x78)],
  ["blob-index", "a blob out of its place", u32(inBlob(64), 1)],
  ["blob-chunk-size", "a blob with other chunks", u32(inBlob(68), 8192)],
  ["blob-chunk-count", "a blob with too many chunks", u32(inBlob(72), 2 ** 24 + 1)],
  ["blob-chunk-table", "a blob with another number of chunks", u32(inBlob(72), 1)],
  ["blob-compressor", "a blob of an unknown compressor", u32(inBlob(76), 4)],
  ["blob-digester", "a blob of an unknown digester", u32(inBlob(80), 2)],
  ["blob-features", "an unknown feature of a blob", u32(inBlob(84), 0x4000_1001)],
  ["blob-features", "a feature that is never stored", u32(inBlob(84), 0xc000_0001)],
  ["blob-aligned", "a blob that is not aligned", u32(inBlob(84), 0x4000_0000)],
  ["unsupported", "a blob over a compressed layer", u32(inBlob(84), 0x4000_000d)],
  ["unsupported", "a blob with batches", u32(inBlob(84), 0x4000_0085)],
  ["unsupported", "an encrypted blob", u32(inBlob(84), 0x4000_0105)],
  ["blob-chunk-table", "entries of the other version", u32(inBlob(84), 0x4000_0005)],
  ["blob-size", "a blob file of 2 TiB", u32(inBlob(92), 0x200)],
  ["device-blocks", "a blob longer than its device", u32(inBlob(96), 2 ** 30)],
  ["blob-compressor", "a chunk table of an unknown compressor", u32(inBlob(108), 9)],
  ["blob-chunk-table", "a chunk table that grows by compression", u32(inBlob(120), 4096)],
  ["unsupported", "a cipher", u32(inBlob(216), 1)],
  ["blob-cipher", "an unknown cipher", u32(inBlob(216), 7)],
  ["chunk-order", "chunks out of order", u8(inChunks(0), 0xff)],
  ["chunk-blob", "a chunk in no blob", u32(inChunks(32), 9)],
  ["chunk-entry", "a chunk of no bytes", u32(inChunks(44), 0)],
  ["chunk-entry", "a chunk stored in no bytes", u32(inChunks(40), 0)],
  ["chunk-entry", "a chunk behind the end of its blob", u32(inChunks(60), 1)],
  ["chunk-entry", "a chunk number behind the last", u32(inChunks(72), 99)],
  ["chunk-missing", "a chunk table without entries", u32(inExtended(32), 0)],
  ["root-nid", "a root that is a file", u16((p) => p.root + 4, 0o100_755)],
  ["inode-format", "an inode of an unknown layout", u16(inFile(0), 0x0d)],
  ["inode-format", "an inode of a newer format", u16(inFile(0), 0x19)],
  ["inode-type", "an inode of no type", u16(inFile(4), 0o644)],
  ["inode-range", "an inode whose xattrs leave the image", u16(inFile(2), 0xffff)],
  ["inode-time", "a billion nanoseconds", u32(inFile(40), 1_000_000_000)],
  ["link-count", "a wrong number of links", u32(inFile(44), 1)],
  ["link-count", "a wrong number of subdirectories", u32((p) => p.root + 44, 2)],
  ["directory-entry-type", "a file that is listed as another kind", u16(inFile(4), 0o010_644)],
  ["chunk-format", "chunks without device numbers", u16(inFile(16), 0)],
  ["chunk-format", "an unknown bit of the chunk format", u16(inFile(16), 0x60)],
  ["chunk-range", "a file bigger than its chunk index can be", u32(inFile(8), 0xffff_ffff)],
  ["file-layout", "a file in blocks", u16(inFile(0), 1)],
  ["hole", "a hole", u16(inIndex(2), 0)],
  [
    "hole",
    "a hole as kernels know it",
    (image) => u16(inIndex(2), 0)(u32(inIndex(4), 0xffff_ffff)(image)),
  ],
  ["chunk-blob", "a chunk on no device", u16(inIndex(2), 9)],
  ["chunk-address", "a chunk outside of its blob", u32(inIndex(4), 77)],
  ["chunk-address", "a chunk number that the blob does not have", u16(inIndex(0), 77)],
  ["chunk-entry", "a chunk at another address", u32(inIndex(4), 1)],
  ["xattr-prefix", "an xattr of no namespace", u8(inXattr(1), 5)],
  ["xattr-area", "an xattr longer than its area", u16(inXattr(2), 9)],
  ["xattr-shared", "shared xattrs of an inode", u8((p) => p.file + 64 + 4, 1)],
  ["symlink-size", "a symlink without target", u32((p) => p.link + 8, 0)],
  ["symlink-size", "a symlink of a megabyte", u32((p) => p.link + 8, 2 ** 20)],
  ["symlink-size", "a target with a zero byte", u8((p) => p.link + 66, 0)],
  ["inode-format", "a symlink in chunks", u16((p) => p.link, 9)],
  [
    "data-range",
    "a symlink in a block outside",
    (image) => u32((p) => p.link + 16, 0x00ff_ffff)(u16((p) => p.link, 1)(image)),
  ],
  ["directory-size", "a directory without bytes", u32((p) => p.root + 8, 0)],
  ["directory-size", "a directory bigger than the image", u32((p) => p.root + 8, 2 ** 30)],
  ["inline-data", "names across a block", u32((p) => p.root + 8, 4090)],
  ["directory-block", "names that begin nowhere", u16(inNames(8), 0)],
  ["directory-block", "names that begin within an entry", u16(inNames(8), 13)],
  ["directory-name", "a name of no bytes", u16(inNames(12 + 8), 0)],
  ["directory-name", "a name with a slash", u8(inNames(7 * 12 + 3), 0x2f)],
  ["directory-order", "names out of order", u8(inNames(7 * 12 + 3), 0x7a)],
  ["directory-entry-type", "an unknown type", u8(inNames(2 * 12 + 10), 8)],
  ["directory-entry-type", "the type of another kind", u8(inNames(2 * 12 + 10), 7)],
  ["directory-dots", "a directory that is not itself", u32((p) => p.nested + 64, 128 + 2)],
  ["directory-dots", "a directory with another parent", u32((p) => p.nested + 64 + 12, 130)],
  [
    "directory-loop",
    "a directory in itself",
    (image) => u8((p) => p.nested + 64 + 24 + 10, 2)(u32((p) => p.nested + 64 + 24, 128)(image)),
  ],
];

it("accepts the image that the cases damage", () => {
  expect(validateRafs(valid)).toEqual({
    inodes: 5,
    directories: 2,
    fileBytes: 9100,
    chunkRefs: 4,
    chunks: 3,
  });
});

it("leaves mapped addresses alone when only Nydus is to read the image", () => {
  const image = u32(() => devices + 68, 1)(Buffer.from(valid));

  expect(validateRafs(image, { reader: "nydus" })).toMatchObject({ inodes: 5 });
});

it.each(cases)("refuses with %s an image with %s", (rule, _what, damage) => {
  const image = damage(Buffer.from(valid));

  expect(() => validateRafs(image)).toThrow(
    expect.objectContaining({
      code: rule === "unsupported" ? "VALIDATION_ERROR" : "IMAGE_CHECKSUM_MISMATCH",
      details: expect.objectContaining({ rule }),
    }),
  );
});
