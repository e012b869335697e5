import { describe, expect, it } from "vitest";
import { readTar } from "../../src/tar/tar-reader.ts";
import type { TarEntry } from "../../src/tar/tar-entry.ts";
import { readAll } from "./read-all.ts";
import { base256, endMark, inChunks, paxEntry, tarEntry, type HeaderFields } from "./tar-blocks.ts";

const binary = Buffer.from(Array.from({ length: 256 }, (_, index) => index));

async function readOne(...blocks: Buffer[]): Promise<Awaited<ReturnType<typeof readAll>>[0]> {
  const [entry, ...others] = await readAll(Buffer.concat([...blocks, endMark]));
  expect(others).toEqual([]);
  expect(entry).toBeDefined();
  if (entry === undefined) throw new Error("no entry");
  return entry;
}

describe("reading a tar stream", () => {
  it("gives all fields of an entry", async () => {
    const header: HeaderFields = {
      name: "f\u00ff",
      prefix: "dir",
      mode: 0o104755,
      uid: 1,
      gid: 2,
      mtime: 3,
    };
    const entry = await readOne(tarEntry(header, "content"));
    expect(entry).toEqual({
      path: "dir/f\u00ff",
      kind: "file",
      mode: 0o4755,
      uid: 1,
      gid: 2,
      size: 7,
      mtime: { seconds: 3, nanoseconds: 0 },
      linkPath: "",
      device: { major: 0, minor: 0 },
      xattrs: new Map(),
      bytes: Buffer.from("content"),
      layout: "data 7",
    });
  });

  it.each([
    ["\0", "file"],
    ["0", "file"],
    ["7", "file"],
    ["5", "directory"],
    ["2", "symlink"],
    ["1", "hardlink"],
    ["3", "character-device"],
    ["4", "block-device"],
    ["6", "fifo"],
  ] as const)("knows type %j as %s", async (type, kind) => {
    const entry = await readOne(
      tarEntry({ name: "a", type, linkName: "target", major: 7, minor: 9 }),
    );
    expect(entry.kind).toBe(kind);
    expect(entry.linkPath).toBe(kind.endsWith("link") ? "target" : "");
    const device = kind.endsWith("device") ? { major: 7, minor: 9 } : { major: 0, minor: 0 };
    expect(entry.device).toEqual(device);
  });

  it("takes an entry of the oldest kind with a slash behind its name for a directory", async () => {
    expect((await readOne(tarEntry({ name: "a/", type: "\0", format: "v7" }))).kind).toBe(
      "directory",
    );
    expect((await readOne(tarEntry({ name: "a/", type: "0" }, "x"))).kind).toBe("file");
  });

  it("takes no prefix and no device from an archive that has none", async () => {
    const raw = { 345: "prefix" };
    expect((await readOne(tarEntry({ name: "a", format: "v7", raw }))).path).toBe("a");
    expect((await readOne(tarEntry({ name: "a", format: "gnu", raw }))).path).toBe("a");
    expect((await readOne(tarEntry({ name: "a", format: "ustar", raw }))).path).toBe("prefix/a");
  });

  it("leaves the times in headers of star out of the prefix", async () => {
    const raw = { 345: "prefix", 476: "12345670123 ", 508: "tar\0" };
    expect((await readOne(tarEntry({ name: "a", raw }))).path).toBe("prefix/a");
  });

  it.each(["unsigned", "signed"] as const)("accepts %s checksums", async (checksum) => {
    const entry = await readOne(tarEntry({ name: "\u00e9\u00ff", checksum }));
    expect(entry.path).toBe("\u00e9\u00ff");
  });

  it("reads numbers in base 256, also negative ones", async () => {
    const entry = await readOne(
      tarEntry({
        name: "a",
        format: "gnu",
        raw: { 108: base256(4_000_000_000n, 8), 116: base256(-2n, 8), 136: base256(-3n, 12) },
      }),
    );
    expect(entry).toMatchObject({ uid: 4_000_000_000, gid: 4_294_967_294, mtime: { seconds: -3 } });
  });

  it("reads names that GNU puts in front of the entry", async () => {
    const [path, linkPath] = ["p".repeat(300), "l".repeat(301)];
    const entry = await readOne(
      tarEntry({ name: "././@LongLink", type: "L", format: "gnu" }, `${path}\0`),
      tarEntry({ name: "././@LongLink", type: "K", format: "gnu" }, `${linkPath}\0`),
      tarEntry({ name: "short", linkName: "short", type: "2", format: "gnu" }),
    );
    expect(entry).toMatchObject({ path, linkPath, kind: "symlink" });
  });

  it("reads PAX values by their lengths, whatever bytes they hold", async () => {
    const value = Buffer.concat([Buffer.from("\n30 path=evil\n=\0"), binary]);
    const entry = await readOne(
      paxEntry([
        ["SCHILY.xattr.user.binary", value],
        ["SCHILY.xattr.user.empty", ""],
        ["LIBARCHIVE.xattr.user.a%3Db", Buffer.from("AAEC")],
        ["path", "n\u00ff\nx"],
        ["uid", "3000000000"],
        ["gid", "3000001"],
        ["mtime", "1700000000.5"],
        ["comment", "ignored"],
      ]),
      tarEntry({ name: "a" }),
    );
    expect(entry).toMatchObject({
      path: "n\u00ff\nx",
      uid: 3_000_000_000,
      gid: 3_000_001,
      mtime: { seconds: 1_700_000_000, nanoseconds: 500_000_000 },
    });
    expect(entry.xattrs).toEqual(
      new Map([
        ["user.binary", value],
        ["user.empty", Buffer.alloc(0)],
        ["user.a=b", Buffer.from([0, 1, 2])],
      ]),
    );
  });

  it.each([
    ["5", 5, 0],
    ["5.", 5, 0],
    ["5.000000001", 5, 1],
    ["5.1234567899", 5, 123_456_789],
    ["-5", -5, 0],
    ["-0.25", -1, 750_000_000],
    ["-1.000000001", -2, 999_999_999],
    ["-0.0000000001", 0, 0],
  ])("reads the time %s", async (text, seconds, nanoseconds) => {
    const entry = await readOne(paxEntry([["mtime", text]]), tarEntry({ name: "a", mtime: 9 }));
    expect(entry.mtime).toEqual({ seconds, nanoseconds });
  });

  it("takes the size from PAX", async () => {
    const data = tarEntry({ name: "a" }, "12345");
    const entries = await readAll(
      Buffer.concat([
        paxEntry([["size", "5"]]),
        tarEntry({ name: "a", size: 0 }),
        data.subarray(512),
        tarEntry({ name: "b" }, "b"),
      ]),
    );
    expect(entries.map(({ path, bytes }) => [path, bytes.toString()])).toEqual([
      ["a", "12345"],
      ["b", "b"],
    ]);
  });

  it("applies PAX headers to one entry, global ones to all that follow", async () => {
    const entries = await readAll(
      Buffer.concat([
        paxEntry(
          [
            ["uid", "7"],
            ["SCHILY.xattr.user.g", "global"],
          ],
          "g",
        ),
        tarEntry({ name: "a" }),
        paxEntry([
          ["uid", "8"],
          ["SCHILY.xattr.user.l", "local"],
        ]),
        tarEntry({ name: "b" }),
        paxEntry([["uid", ""]]),
        tarEntry({ name: "c", uid: 9 }),
        paxEntry([["uid", ""]], "g"),
        tarEntry({ name: "d", uid: 10 }),
      ]),
    );
    expect(entries.map(({ uid, xattrs }) => [uid, [...xattrs.keys()]])).toEqual([
      [7, ["user.g"]],
      [8, ["user.g", "user.l"]],
      [9, ["user.g"]],
      [10, ["user.g"]],
    ]);
  });

  it("takes no bytes for links, directories and devices, whatever their headers say", async () => {
    for (const type of ["1", "2", "3", "4", "5", "6"]) {
      const entries = await readAll(
        Buffer.concat([
          tarEntry({ name: "a", linkName: "b", type, size: 1_000 }),
          tarEntry({ name: "b" }, "b"),
        ]),
      );
      expect(entries.map(({ path, size }) => [path, size])).toEqual([
        ["a", 0],
        ["b", 1],
      ]);
    }
  });

  it("gives the same whatever chunks the stream comes in", async () => {
    const archive = Buffer.concat([
      paxEntry([["SCHILY.xattr.user.x", binary]]),
      tarEntry({ name: "a" }, Buffer.concat(Array.from({ length: 9 }, () => binary))),
      tarEntry({ name: "b" }, "b"),
      endMark,
    ]);
    const whole = await readAll(archive);
    for (const chunkSize of [1, 7, 511, 512, 513, 4_000]) {
      expect(await readAll(archive, { chunkSize })).toEqual(whole);
    }
  });

  it("passes over what is not read of a content", async () => {
    const archive = Buffer.concat([
      tarEntry({ name: "a" }, Buffer.alloc(5_000, 1)),
      tarEntry({ name: "b" }, Buffer.alloc(5_000, 2)),
      tarEntry({ name: "c" }, "c"),
    ]);
    const paths: string[] = [];
    for await (const { path, content } of readTar(inChunks(archive, 100))) {
      paths.push(path);
      if (path === "b") for await (const _ of content) break;
    }
    expect(paths).toEqual(["a", "b", "c"]);
  });

  it("passes over a sparse file with maps in blocks of their own", async () => {
    const first = { 386: "0\0", 398: "3\0", 482: "\u0001", 483: "1750\0" };
    const more = Buffer.alloc(512);
    more.write("1000\0", 0, "latin1");
    more.write("0\0", 12, "latin1");
    const archive = Buffer.concat([
      tarEntry({ name: "a", type: "S", format: "gnu", size: 3, raw: first }),
      more,
      tarEntry({ name: "" }, "abc").subarray(512),
      tarEntry({ name: "b" }, "b"),
    ]);
    const [sparse] = await readAll(archive);
    expect(sparse).toMatchObject({ size: 1_000, layout: "data 3, hole 997" });
    const paths: string[] = [];
    for await (const { path } of readTar(inChunks(archive))) paths.push(path);
    expect(paths).toEqual(["a", "b"]);
  });

  it("prefers an attribute in raw bytes to the same one in base64", async () => {
    const records = [
      ["LIBARCHIVE.xattr.user.a", "AAEC"],
      ["SCHILY.xattr.user.a", "raw"],
    ] as const;
    const entry = await readOne(paxEntry(records), tarEntry({ name: "a" }));
    expect(entry.xattrs).toEqual(new Map([["user.a", Buffer.from("raw")]]));
  });

  it("does not copy contents", async () => {
    const archive = tarEntry({ name: "a" }, Buffer.alloc(100_000, 1));
    let size = 0;
    for await (const { content } of readTar(inChunks(archive, 30_000))) {
      for await (const part of content) {
        if (part.kind === "hole") continue;
        size += part.bytes.length;
        expect(part.bytes.buffer).toBe(archive.buffer);
      }
    }
    expect(size).toBe(100_000);
  });

  it("gives no bytes of another entry to who reads a content too late", async () => {
    const archive = Buffer.concat([tarEntry({ name: "a" }, "a"), tarEntry({ name: "b" }, "b")]);
    const entries: TarEntry[] = [];
    for await (const entry of readTar(inChunks(archive))) entries.push(entry);
    const readLate = async (): Promise<void> => {
      for await (const _ of entries[0]?.content ?? []) expect.unreachable();
    };
    await expect(readLate()).rejects.toThrow("after its turn");
  });

  it.each([0, 512, 1_024, 10_240])("needs no end mark: %d bytes of zeros", async (size) => {
    const archive = Buffer.concat([tarEntry({ name: "a" }, "a"), Buffer.alloc(size)]);
    expect((await readAll(archive)).map(({ path }) => path)).toEqual(["a"]);
    expect((await readAll(archive, { afterEnd: "read" })).map(({ path }) => path)).toEqual(["a"]);
  });

  it("needs no padding at the end", async () => {
    const archive = tarEntry({ name: "a" }, "abc").subarray(0, 515);
    expect((await readAll(archive)).map(({ bytes }) => bytes.toString())).toEqual(["abc"]);
  });

  it("reads an empty stream as an archive of nothing", async () => {
    expect(await readAll(Buffer.alloc(0))).toEqual([]);
    expect(await readAll(endMark)).toEqual([]);
  });

  it("reads an archive that has nothing but a global header", async () => {
    expect(await readAll(Buffer.concat([paxEntry([["comment", "x"]], "g"), endMark]))).toEqual([]);
  });

  it("reads the source to its end", async () => {
    let sent = 0;
    async function* source(): AsyncGenerator<Buffer> {
      yield tarEntry({ name: "a" });
      for (sent = 0; sent < 100; sent++) yield Buffer.alloc(1_000);
      yield Buffer.from("garbage behind the end");
    }
    for await (const { path } of readTar(source())) expect(path).toBe("a");
    expect(sent).toBe(100);
  });

  it("closes the source when reading stops early", async () => {
    let isClosed = false;
    async function* source(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield tarEntry({ name: "a" });
      } finally {
        isClosed = true;
      }
    }
    for await (const _ of readTar(source())) break;
    expect(isClosed).toBe(true);
  });

  it("ends with the signal's reason although the source hangs", async () => {
    const controller = new AbortController();
    const never = new Promise<IteratorResult<Buffer>>(() => undefined);
    const source: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({
        next() {
          queueMicrotask(() => controller.abort(new Error("enough")));
          return never;
        },
        return: () => never,
      }),
    };
    const reading = readTar(source, { signal: controller.signal }).next();
    await expect(reading).rejects.toThrow("enough");
  });

  it("passes on what the source throws", async () => {
    async function* source(): AsyncGenerator<Buffer> {
      yield tarEntry({ name: "a" }, "a").subarray(0, 512);
      throw new RangeError("connection lost");
    }
    const entries = readTar(source());
    await entries.next();
    await expect(entries.next()).rejects.toThrow(new RangeError("connection lost"));
  });
});
