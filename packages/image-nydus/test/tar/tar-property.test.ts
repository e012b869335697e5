import { isLongshoreError } from "@longshore/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readAll } from "./read-all.ts";
import { base256, endMark, headerBlock, paxEntry, tarEntry } from "./tar-blocks.ts";

const bytes = (max: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));

/** Any bytes but NUL, as names are */
const name = (min: number, max: number): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 1, max: 255 }), { minLength: min, maxLength: max })
    .map((codes) => String.fromCharCode(...codes));

const id = fc.integer({ min: 0, max: 2 ** 32 - 2 });

const writtenEntry = fc.record({
  path: name(1, 300),
  kind: fc.constantFrom("file", "directory", "symlink", "fifo"),
  linkPath: name(1, 300),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: id,
  gid: id,
  seconds: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
  nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
  xattrs: fc.array(fc.tuple(name(1, 40), bytes(200)), { maxLength: 4 }),
  data: bytes(2_000),
  extension: fc.constantFrom("pax", "gnu"),
});

type WrittenEntry = typeof writtenEntry extends fc.Arbitrary<infer T> ? T : never;

const types = { file: "0", directory: "5", symlink: "2", fifo: "6" } as const;

function write(entry: WrittenEntry): Buffer {
  const { kind, path, linkPath, mode, uid, gid, seconds, data } = entry;
  const target = kind === "symlink" ? linkPath : "";
  const content = kind === "file" ? data : Buffer.alloc(0);
  const header = { type: types[kind], mode };
  if (entry.extension === "gnu") {
    const raw = {
      108: base256(BigInt(uid), 8),
      116: base256(BigInt(gid), 8),
      136: base256(BigInt(seconds), 12),
    };
    return Buffer.concat([
      tarEntry({ name: "L", type: "L", format: "gnu" }, `${path}\0`),
      ...(target === "" ? [] : [tarEntry({ name: "K", type: "K", format: "gnu" }, target)]),
      tarEntry({ ...header, name: "short", format: "gnu", raw }, content),
    ]);
  }
  const records = [
    ["path", path],
    ["uid", `${uid}`],
    ["gid", `${gid}`],
    ["mtime", decimalTime(entry)],
    ...(target === "" ? [] : [["linkpath", target] as const]),
    ...xattrsOf(entry).map(([key, value]) => [`SCHILY.xattr.${key}`, value] as const),
  ] as const;
  return Buffer.concat([paxEntry(records), tarEntry({ ...header, name: "short" }, content)]);
}

function xattrsOf({ xattrs, extension }: WrittenEntry): readonly (readonly [string, Buffer])[] {
  return extension === "gnu" ? [] : xattrs.filter(([key]) => !key.includes("="));
}

function decimalTime({ seconds, nanoseconds }: WrittenEntry): string {
  const total = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  const digits = `${total < 0n ? -total : total}`.padStart(10, "0");
  return `${total < 0n ? "-" : ""}${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

describe("tar reader", () => {
  it("reads back whatever was written", async () => {
    const chunkSize = fc.integer({ min: 1, max: 3_000 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(writtenEntry, { maxLength: 5 }),
        chunkSize,
        async (entries, size) => {
          const archive = Buffer.concat([...entries.map(write), endMark]);
          const read = await readAll(archive, { chunkSize: size });
          expect(read).toEqual(
            entries.map((entry) => ({
              path: entry.path,
              kind: entry.kind,
              mode: entry.mode,
              uid: entry.uid,
              gid: entry.gid,
              size: entry.kind === "file" ? entry.data.length : 0,
              mtime: {
                seconds: entry.seconds,
                nanoseconds: entry.extension === "gnu" ? 0 : entry.nanoseconds,
              },
              linkPath: entry.kind === "symlink" ? entry.linkPath : "",
              device: { major: 0, minor: 0 },
              xattrs: new Map(xattrsOf(entry)),
              bytes: entry.kind === "file" ? entry.data : Buffer.alloc(0),
              layout:
                entry.kind === "file" && entry.data.length > 0 ? `data ${entry.data.length}` : "",
            })),
          );
        },
      ),
      { numRuns: 150 },
    );
  });

  /** `read`, `refused` with the error that is documented, or whatever else was thrown. */
  async function outcomeOf(archive: Buffer): Promise<unknown> {
    try {
      await readAll(archive, { limits: { maxEntryBytes: 2 ** 22 } });
      return "read";
    } catch (error) {
      return isLongshoreError(error, "VALIDATION_ERROR") ? "refused" : error;
    }
  }

  async function checkOutcome(archive: Buffer): Promise<void> {
    expect(["read", "refused"]).toContain(await outcomeOf(archive));
  }

  it("takes random bytes for an archive or refuses them", async () => {
    expect.hasAssertions();
    await fc.assert(fc.asyncProperty(bytes(3_000), checkOutcome), { numRuns: 200 });
  });

  it("survives headers of random fields", async () => {
    expect.hasAssertions();
    const type = fc.constantFrom(..."\u000001234567xXgLKSVDMN".split(""));
    const raw = fc.record({
      100: bytes(24),
      124: fc.oneof(bytes(12), fc.constant("00000000010\0")),
      136: bytes(12),
      329: bytes(16),
      386: bytes(110),
    });
    const block = fc
      .record({ type, raw, name: name(0, 100), format: fc.constantFrom("v7", "ustar", "gnu") })
      .map(headerBlock);
    const archive = fc
      .array(fc.tuple(block, bytes(600)))
      .map((parts) => Buffer.concat(parts.flat()));
    await fc.assert(fc.asyncProperty(archive, checkOutcome), { numRuns: 300 });
  });

  it("survives archives with bytes that are wrong", async () => {
    expect.hasAssertions();
    const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(writtenEntry, { maxLength: 3 }),
        damage,
        async (entries, changes) => {
          const archive = Buffer.concat([...entries.map(write), endMark]);
          for (const [at, value] of changes) archive[at % archive.length] = value;
          await checkOutcome(archive);
          await checkOutcome(archive.subarray(0, (changes[0]?.[0] ?? 0) % archive.length));
        },
      ),
      { numRuns: 150 },
    );
  });

  it("survives sparse maps of random numbers", async () => {
    expect.hasAssertions();
    const number = fc.oneof(fc.nat(10_000), fc.bigInt({ min: -1n, max: 2n ** 70n })).map(String);
    const records = fc.array(
      fc.tuple(
        fc.constantFrom(
          ...["major", "minor", "size", "realsize", "map", "offset", "numbytes", "name"].map(
            (key) => `GNU.sparse.${key}`,
          ),
        ),
        fc.oneof(
          number,
          fc.constantFrom("0", "1"),
          fc.array(number).map((list) => list.join(",")),
        ),
      ),
    );
    const data = fc.oneof(
      bytes(2_000),
      fc.array(number).map((list) => Buffer.from(list.join("\n"))),
    );
    await fc.assert(
      fc.asyncProperty(records, data, async (list, content) => {
        await checkOutcome(Buffer.concat([paxEntry(list), tarEntry({ name: "a" }, content)]));
      }),
      { numRuns: 300 },
    );
  });
});
