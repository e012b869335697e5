import { mkdir, open, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { crc32, gunzip } from "node:zlib";
import { array, assert, asyncProperty, integer, oneof, tuple } from "fast-check";
import { makeDemoDisk } from "longshore-plugin-disk/make-disk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { detectOs } from "../examples/handler-plugin/src/detect-os.ts";
import { rawDisk, sliceOf } from "../examples/handler-plugin/src/disk-reader.ts";
import { openExtFilesystem } from "../examples/handler-plugin/src/ext-filesystem.ts";
import { detectFilesystem } from "../examples/handler-plugin/src/filesystem.ts";
import { inspectStorage } from "../examples/handler-plugin/src/inspect-storage.ts";
import { parseOsRelease } from "../examples/handler-plugin/src/os-release.ts";
import { readPartitionTable } from "../examples/handler-plugin/src/partition-table.ts";
import { bufferDisk, emptyFile, tempDirectory, tool } from "./disk-tools.ts";

const mebibyte = 1_048_576;
const uuid = "11111111-2222-4333-8444-555555555555";
const scratch = await tempDirectory();
const tree = scratch.at("tree");
/** Longer than the direct, the indirect and a part of the double indirect blocks of ext2 with 1 KiB blocks. */
const long = Buffer.from(Array.from({ length: 700_001 }, (_, index) => (index * 7) % 251));

beforeAll(async () => {
  await mkdir(join(tree, "etc"), { recursive: true });
  await mkdir(join(tree, "usr", "lib"), { recursive: true });
  await mkdir(join(tree, "many"));
  await writeFile(join(tree, "usr", "lib", "os-release"), 'ID=test\nPRETTY_NAME="Test 1"\n');
  await symlink("/usr/lib/os-release", join(tree, "etc", "os-release"));
  await writeFile(join(tree, "etc", "long"), long);
  await writeFile(join(tree, "etc", "empty"), "");
  await symlink("loop", join(tree, "etc", "loop"));
  await symlink("../../../../etc/long", join(tree, "etc", "up"));
  // A link too long for its inode.
  await symlink(`${"./".repeat(60)}long`, join(tree, "etc", "winding"));
  // More names than a directory block holds.
  const names = Array.from({ length: 400 }, (_, index) => `a-rather-long-file-name-${index}`);
  await Promise.all(names.map((name) => writeFile(join(tree, "many", name), name)));
});

afterAll(async () => {
  await scratch[Symbol.asyncDispose]();
});

describe("detectFilesystem", () => {
  it.each([
    { name: "xfs", found: { type: "xfs", label: "xfs-label", uuid, size: 320 * mebibyte } },
    { name: "btrfs", found: { type: "btrfs", label: "btrfs-label", uuid, size: 128 * mebibyte } },
    { name: "ntfs", found: { type: "ntfs", uuid: "67C4FD882DA3C8B0", size: 16 * mebibyte - 512 } },
    { name: "squashfs", found: { type: "squashfs", version: "4.0", size: 221 } },
    { name: "erofs", found: { type: "erofs", uuid, size: 4_096 } },
    { name: "iso9660", found: { type: "iso9660", label: "ISO_LABEL", size: 358_400 } },
    { name: "swap", found: { type: "swap", label: "swap-label", uuid, size: mebibyte } },
    { name: "luks1", found: { type: "luks", version: "luks1", uuid } },
    { name: "luks2", found: { type: "luks", version: "luks2", uuid, label: "luks-label" } },
    {
      name: "lvm",
      found: {
        type: "lvm2-member",
        uuid: "jtdaHn-z3hc-Ii6r-yArz-AY5V-eeCs-tceTlb",
        size: 16 * mebibyte,
      },
    },
  ])("knows $name", async ({ name, found }) => {
    const fixture = join(import.meta.dirname, "fixtures", "superblocks", `${name}.gz`);
    const start = await promisify(gunzip)(await readFile(fixture));
    expect(await detectFilesystem(bufferDisk(start))).toEqual(found);
  });

  it.each([
    { type: "ext2", args: ["-t", "ext2"] },
    { type: "ext3", args: ["-t", "ext3"] },
    { type: "ext4", args: ["-t", "ext4"] },
    { type: "ext4", args: ["-t", "ext4", "-O", "64bit,metadata_csum"] },
  ])("tells $type ($args) from the others", async ({ type, args }) => {
    const path = scratch.at("some.ext");
    await emptyFile(path, 16 * mebibyte);
    await tool("mke2fs", "-q", "-F", ...args, "-L", "a-label", "-U", uuid, path);
    await using file = await open(path);
    const found = await detectFilesystem(rawDisk(file, 16 * mebibyte));
    expect(found).toEqual({ type, label: "a-label", uuid, size: 16 * mebibyte });
  });

  it.each([
    { version: "fat12", bits: "12", size: 2 * mebibyte },
    { version: "fat16", bits: "16", size: 16 * mebibyte },
    { version: "fat32", bits: "32", size: 64 * mebibyte },
  ])("knows $version", async ({ version, bits, size }) => {
    const path = scratch.at(`${version}.img`);
    await emptyFile(path, size);
    await tool("mkfs.vfat", "-F", bits, "-i", "12345678", path);
    await using file = await open(path);
    const found = await detectFilesystem(rawDisk(file, size));
    expect(found).toEqual({ type: "vfat", version, uuid: "1234-5678", size });
  });

  it("finds nothing in zeros, noise and disks of a few bytes", async () => {
    const noise = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 31) % 256));
    for (const content of [Buffer.alloc(0), Buffer.alloc(100), Buffer.alloc(100_000), noise]) {
      expect(await detectFilesystem(bufferDisk(content))).toBeUndefined();
    }
  });
});

describe("files of ext filesystems", () => {
  it.each([
    { name: "ext2, 1 KiB blocks", args: ["-t", "ext2", "-b", "1024"] },
    { name: "ext3, 4 KiB blocks", args: ["-t", "ext3", "-b", "4096"] },
    { name: "ext4", args: ["-t", "ext4"] },
    { name: "ext4, 1 KiB blocks", args: ["-t", "ext4", "-b", "1024"] },
    { name: "ext4 without extents", args: ["-t", "ext4", "-O", "^extents,^64bit"] },
    { name: "ext4, 64 KiB blocks", args: ["-t", "ext4", "-b", "65536"] },
    { name: "ext4, small inodes", args: ["-t", "ext4", "-I", "128"] },
    { name: "ext4 without flex_bg", args: ["-t", "ext4", "-O", "^flex_bg"] },
  ])("are read: $name", async ({ args }) => {
    const path = scratch.at("files.ext");
    await emptyFile(path, 64 * mebibyte);
    await tool("mke2fs", "-q", "-F", ...args, "-d", tree, path);
    await using file = await open(path);
    const disk = rawDisk(file, 64 * mebibyte);
    const files = await openExtFilesystem(disk);
    expect((await files.readFile("/etc/os-release", 1_000))?.toString()).toContain("ID=test");
    for (const name of ["long", "up", "winding"]) {
      expect((await files.readFile(`/etc/${name}`, mebibyte))?.equals(long)).toBe(true);
    }
    expect(await files.readFile("/etc/empty", 0)).toHaveLength(0);
    const last = "a-rather-long-file-name-399";
    expect((await files.readFile(`/many/${last}`, 100))?.toString()).toBe(last);
    expect(await files.readFile("/many/none", 100)).toBeUndefined();
    expect(await files.readFile("/etc/long/under", 100)).toBeUndefined();
    expect(await files.readFile("/etc", 100)).toBeUndefined();
    await expect(files.readFile("/etc/long", 1_000)).rejects.toThrow("1000");
    await expect(files.readFile("/etc/loop", 1_000)).rejects.toThrow("symbolic links");
  });

  it("say so when the layout is not supported", async () => {
    const path = scratch.at("meta.ext");
    await emptyFile(path, 16 * mebibyte);
    await tool("mke2fs", "-q", "-F", "-t", "ext4", "-O", "meta_bg,^resize_inode", path);
    await using file = await open(path);
    const disk = rawDisk(file, 16 * mebibyte);
    const filesystem = { type: "ext4" };
    expect(await detectOs({ partition: 1, disk, filesystem })).toEqual({
      kind: "not-searched",
      reason: expect.stringContaining("not supported"),
    });
  });

  it("have holes that read as zeros", async () => {
    const holes = scratch.at("holes");
    await mkdir(holes);
    const content = Buffer.alloc(300_000);
    content.write("start");
    content.write("end", 299_000);
    await emptyFile(join(holes, "file"), content.length);
    await using sparse = await open(join(holes, "file"), "r+");
    await sparse.write("start", 0);
    await sparse.write("end", 299_000);
    for (const type of ["ext2", "ext4"]) {
      const path = scratch.at("holes.ext");
      await emptyFile(path, 16 * mebibyte);
      await tool("mke2fs", "-q", "-F", "-t", type, "-d", holes, path);
      await using file = await open(path);
      const files = await openExtFilesystem(rawDisk(file, 16 * mebibyte));
      expect((await files.readFile("/file", mebibyte))?.equals(content)).toBe(true);
    }
  });
});

describe("partition tables", () => {
  let disk: Buffer;
  beforeAll(async () => {
    const path = scratch.at("gpt.raw");
    await makeDemoDisk(path, { format: "raw" });
    disk = await readFile(path);
  });

  it("uses the second GPT when the first is damaged, and says so", async () => {
    for (const [at, what] of [
      [512 + 40, "header"],
      [1_024 + 60, "entries"],
    ] as const) {
      const damaged = Buffer.from(disk);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 0xff, at);
      const table = await readPartitionTable(bufferDisk(damaged));
      expect(table).toMatchObject({ type: "gpt", partitions: [{ number: 1 }, { number: 2 }] });
      expect(table?.warnings).toEqual([
        `first partition table: the checksum of its ${what} is wrong; the second is used`,
      ]);
    }
  });

  it("says that the second GPT is missing, e.g. on a disk that was made larger", async () => {
    const damaged = Buffer.from(disk);
    damaged.fill(0, damaged.length - 512);
    expect(await readPartitionTable(bufferDisk(damaged))).toMatchObject({
      type: "gpt",
      partitions: [{ number: 1 }, { number: 2 }],
      warnings: ["second partition table: not found"],
    });
  });

  it("does not dig up the GPT that a disk had before its MBR", async () => {
    const remade = Buffer.from(disk);
    remade.fill(0, 446, 34 * 512);
    remade.set([0x80, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0], 446);
    remade.writeUInt16LE(0xaa55, 510);
    expect(await readPartitionTable(bufferDisk(remade))).toMatchObject({
      type: "mbr",
      partitions: [{ number: 1, start: mebibyte, size: mebibyte }],
    });
  });

  it("reads a GPT on sectors of 4 KiB", async () => {
    // The table that sfdisk made, moved to where a disk with such sectors has it.
    const large = Buffer.alloc(64 * mebibyte);
    const last = large.length / 4_096 - 1;
    const entries = Buffer.from(disk.subarray(1_024, 1_024 + 128 * 128));
    for (const entry of [entries, entries.subarray(128)]) {
      for (const at of [32, 40]) entry.writeBigUInt64LE(entry.readBigUInt64LE(at) / 8n, at);
    }
    const write = (own: number, other: number, table: number): void => {
      const header = Buffer.from(disk.subarray(512, 512 + 92));
      for (const [at, value] of [
        [24, own],
        [32, other],
        [72, table],
      ] as const) {
        header.writeBigUInt64LE(BigInt(value), at);
      }
      header.writeUInt32LE(crc32(entries), 88);
      header.writeUInt32LE(0, 16);
      header.writeUInt32LE(crc32(header), 16);
      header.copy(large, own * 4_096);
      entries.copy(large, table * 4_096);
    };
    write(1, last, 2);
    write(last, 1, last - 4);
    expect(await readPartitionTable(bufferDisk(large))).toMatchObject({
      type: "gpt",
      sectorSize: 4_096,
      partitions: [{ start: mebibyte }, { start: 24 * mebibyte, typeName: "linux" }],
      warnings: [],
    });
  });

  it("ends a chain of logical partitions that is a circle, and one that leads outside", async () => {
    const entry = (type: number, start: number, count: number): Buffer => {
      const bytes = Buffer.alloc(16);
      bytes.writeUInt8(type, 4);
      bytes.writeUInt32LE(start, 8);
      bytes.writeUInt32LE(count, 12);
      return bytes;
    };
    const table = (entries: readonly Buffer[]): Buffer => {
      const sector = Buffer.alloc(512);
      for (const [index, one] of entries.entries()) one.copy(sector, 446 + index * 16);
      sector.writeUInt16LE(0xaa55, 510);
      return sector;
    };
    for (const [next, warning] of [
      [10, "the chain of logical partitions does not end"],
      [5_000, "the chain of logical partitions leaves the extended one"],
    ] as const) {
      const circle = Buffer.alloc(mebibyte);
      table([entry(0x05, 100, 1_000)]).copy(circle);
      table([entry(0x83, 2, 4), entry(0x05, next, 8)]).copy(circle, 100 * 512);
      table([entry(0x83, 2, 4), entry(0x05, next, 8)]).copy(circle, 110 * 512);
      const found = await readPartitionTable(bufferDisk(circle));
      expect(found?.warnings).toEqual([warning]);
    }
  });

  it("lets nothing on a disk throw but DISK_UNREADABLE, and ends", async () => {
    const [bootAt, rootAt] = [mebibyte, 24 * mebibyte];
    // MBR and GPT, the boot sector, and the first blocks of the root filesystem: superblock, groups, inodes.
    const place = oneof(
      integer({ min: 0, max: 34 * 512 }),
      integer({ min: bootAt, max: bootAt + 512 }),
      integer({ min: rootAt + 1_024, max: rootAt + 1_536 }),
      integer({ min: rootAt + 4_096, max: rootAt + 8_192 }),
      integer({ min: rootAt + 8_192, max: rootAt + 200_000 }),
    );
    const changes = array(tuple(place, integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 8,
    });
    await assert(
      asyncProperty(changes, async (list) => {
        const before = list.map(([at]) => disk.readUInt8(at));
        for (const [at, value] of list) disk.writeUInt8(value, at);
        try {
          const reader = sliceOf(bufferDisk(disk), 0, disk.length);
          const { volumes } = await inspectStorage(reader);
          for (const volume of volumes) await detectOs(volume);
        } catch (error) {
          expect(error).toMatchObject({ code: "DISK_UNREADABLE" });
        } finally {
          for (const [index, [at]] of [...list.entries()].toReversed()) {
            disk.writeUInt8(before[index] ?? 0, at);
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("parseOsRelease", () => {
  it("reads quotes and escapes as os-release(5) has them", () => {
    const text = `# comment
ID=debian
PRETTY_NAME="Debian \\"12\\" \\$x"
SINGLE='as $it is'
EMPTY=
 INDENTED=yes
not an assignment
__proto__=x
`;
    expect(parseOsRelease(text)).toEqual({
      id: "debian",
      pretty_name: 'Debian "12" $x',
      single: "as $it is",
      empty: "",
      indented: "yes",
    });
  });

  it("keeps its size when the file does not", () => {
    const text = Array.from({ length: 500 }, (_, index) => `K${index}=${"x".repeat(5_000)}`);
    const fields = Object.values(parseOsRelease(text.join("\n")));
    expect(fields).toHaveLength(100);
    expect(fields.every((value) => value.length === 1_000)).toBe(true);
  });
});
