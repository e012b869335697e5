import { open, readFile } from "node:fs/promises";
import { assert, asyncProperty, constant, integer, oneof, tuple } from "fast-check";
import { makeDemoDisk } from "longshore-plugin-disk/make-disk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DiskReader } from "../examples/handler-plugin/src/disk-reader.ts";
import { openDisk } from "../examples/handler-plugin/src/open-disk.ts";
import { tempDirectory, tool } from "./disk-tools.ts";

const scratch = await tempDirectory();
const raw = scratch.at("disk.raw");
const options = { roots: [scratch.path], signal: AbortSignal.timeout(60_000) };

beforeAll(async () => {
  await makeDemoDisk(raw, { format: "raw" });
});

afterAll(async () => {
  await scratch[Symbol.asyncDispose]();
});

/** The whole disk, read in pieces that start and end anywhere. */
async function readAll(disk: DiskReader, step: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let offset = 0; offset < disk.size; offset += step) {
    parts.push(await disk.read(offset, Math.min(step, disk.size - offset)));
  }
  return Buffer.concat(parts);
}

describe("qcow2", () => {
  it.each([
    { name: "as qemu-img makes it", args: [] },
    { name: "version 2", args: ["-o", "compat=0.10"] },
    { name: "compressed", args: ["-c"] },
    { name: "compressed with zstd", args: ["-c", "-o", "compression_type=zstd"] },
    { name: "with the smallest clusters", args: ["-o", "cluster_size=512"] },
    { name: "compressed in small clusters", args: ["-c", "-o", "cluster_size=4096"] },
    { name: "compressed in the largest clusters", args: ["-c", "-o", "cluster_size=2M"] },
    { name: "preallocated", args: ["-o", "preallocation=metadata"] },
  ])("reads an image $name, byte for byte", async ({ args }) => {
    const image = scratch.at("variant.qcow2");
    await tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", ...args, raw, image);
    await using opened = await openDisk(image, options);
    const expected = await readFile(raw);
    expect(opened.disk.size).toBe(expected.length);
    // 1 MiB and a bit: pieces begin and end inside clusters.
    expect((await readAll(opened.disk, 1_048_576 + 12_345)).equals(expected)).toBe(true);
  });

  it("reads through to backing images, shorter ones too, and sees what was written or discarded above", async () => {
    const base = scratch.at("base.qcow2");
    const middle = scratch.at("middle.qcow2");
    const top = scratch.at("top.qcow2");
    await tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, base);
    await tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", middle, "80M");
    await tool("qemu-io", "-c", "write -P 0xaa 1000k 70k", "-c", "write -z 26M 1M", middle);
    await tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", "middle.qcow2", "-F", "qcow2", top);
    await tool("qemu-io", "-c", "write -P 0xbb 1020k 5k", "-c", "write -P 0xcc 79M 1k", top);
    const flat = scratch.at("flat.raw");
    await tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", top, flat);
    await using opened = await openDisk(top, options);
    expect(opened.backingFiles).toEqual([middle, base]);
    expect((await readAll(opened.disk, 777_777)).equals(await readFile(flat))).toBe(true);
  });

  it("reads a raw backing image as raw", async () => {
    const top = scratch.at("on-raw.qcow2");
    await tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", top);
    await using opened = await openDisk(top, options);
    expect((await readAll(opened.disk, 5_000_000)).equals(await readFile(raw))).toBe(true);
  });

  it("refuses reads outside of the disk, and reads after an abort", async () => {
    const abort = new AbortController();
    await using opened = await openDisk(raw, { ...options, signal: abort.signal });
    const { disk } = opened;
    for (const [offset, length] of [
      [disk.size, 1],
      [-1, 1],
      [0, disk.size + 1],
      [0.5, 1],
      [0, Number.MAX_SAFE_INTEGER],
    ] as const) {
      await expect(disk.read(offset, length)).rejects.toMatchObject({ code: "DISK_UNREADABLE" });
    }
    const reason = new Error("enough");
    abort.abort(reason);
    await expect(disk.read(0, 1)).rejects.toBe(reason);
  });

  it("answers with DISK_UNREADABLE, or reads, whatever is in a header or table", async () => {
    const image = scratch.at("fuzzed.qcow2");
    await tool("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", raw, image);
    const original = await readFile(image);
    const l1 = Number(original.readBigUInt64BE(40));
    const l2 = Number(original.readBigUInt64BE(l1) & 0x00ff_ffff_ffff_fe00n);
    // Places that decide where data is looked for: the header, the first tables.
    const place = oneof(
      integer({ min: 4, max: 112 }),
      integer({ min: l1, max: l1 + 8 }),
      integer({ min: l2, max: l2 + 256 }),
    );
    const change = tuple(place, oneof(constant(0xff), integer({ min: 0, max: 255 })));
    const file = await open(image, "r+");
    try {
      await assert(
        asyncProperty(change, async ([at, value]) => {
          await file.write(Buffer.from([value]), 0, 1, at);
          try {
            await using opened = await openDisk(image, options);
            await opened.disk.read(0, Math.min(200_000, opened.disk.size));
          } catch (error) {
            expect(error).toMatchObject({
              code: expect.stringMatching(
                /^(DISK_UNREADABLE|NOT_FOUND|POLICY_DENIED|VALIDATION_ERROR)$/,
              ),
            });
          } finally {
            await file.write(original, at, 1, at);
          }
        }),
        { numRuns: 300 },
      );
    } finally {
      await file.close();
    }
  });
});
