import { isLongshoreError } from "@longshore/core";
import { describe, expect, it } from "vitest";
import { readTar, type ReadTarOptions } from "../../src/tar/tar-reader.ts";
import { readAll } from "./read-all.ts";
import { base256, inChunks, paxEntry, paxRecord, tarEntry } from "./tar-blocks.ts";

interface Refusal {
  readonly problem: string;
  readonly entry?: string;
  readonly offset: number;
  readonly limit?: string;
}

/** Reads an archive that cannot be read, and returns the details of the error. */
async function refusal(archive: Buffer, options: ReadTarOptions = {}): Promise<Refusal> {
  const error: unknown = await readAll(archive, options).then(
    () => expect.unreachable("the archive was read"),
    (reason: unknown) => reason,
  );
  if (!isLongshoreError(error, "VALIDATION_ERROR")) throw error;
  return error.details as unknown as Refusal;
}

async function readPaths(archive: Buffer): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of readTar(inChunks(archive))) paths.push(path);
  return paths;
}

const file = tarEntry({ name: "a" }, "content");
const x = (value: string | Buffer): Buffer => paxEntry([["SCHILY.xattr.user.x", value]]);

describe("a tar stream that cannot be read", () => {
  it.each([
    ["in a header", 100],
    ["in a content", 515],
  ])("ends %s", async (_, size) => {
    const archive = Buffer.concat([file, file.subarray(0, size)]);
    expect((await refusal(archive)).problem).toMatch(/ends/);
    const skip = readPaths(archive);
    await expect(skip).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("tells which entry it is, and where", async () => {
    const archive = Buffer.concat([file, tarEntry({ name: "b\u001b" }, "123").subarray(0, 514)]);
    expect(await refusal(archive)).toMatchObject({ entry: "b\u001b", offset: 1_024 });
    await expect(readAll(archive)).rejects.toThrow(String.raw`entry "b\u001b" at byte 1024`);
  });

  it.each([
    ["random bytes", Buffer.alloc(512, 0x41)],
    ["a wrong checksum", tarEntry({ name: "a", checksum: "wrong" })],
    ["a gzip stream", Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0]), Buffer.alloc(508, 1)])],
  ])("has %s for a header", async (_, archive) => {
    expect((await refusal(archive)).problem).toMatch(/checksum/);
  });

  it("goes on after one block of zeros", async () => {
    expect((await refusal(Buffer.concat([Buffer.alloc(512), file]))).problem).toMatch(/zeros/);
  });

  it.each([
    ["size", { 124: "abcdefghijk\0" }],
    ["size", { 124: base256(-1n, 12) }],
    ["size", { 124: base256(2n ** 80n, 12) }],
    ["size", { 124: "9".repeat(11) }],
    ["mode", { 100: "rw-r--r-" }],
    ["mode", { 100: base256(-1n, 8) }],
    ["uid", { 108: "root   \0" }],
    ["uid", { 108: base256(-1n, 8) }],
    ["gid", { 116: base256(2n ** 32n, 8) }],
    ["time", { 136: "yesterday   " }],
  ])("has no number for the %s (%j)", async (what, raw) => {
    expect((await refusal(tarEntry({ name: "a", raw }))).problem).toContain(what);
  });

  it.each([
    ["major", { 329: base256(4_096n, 8) }],
    ["minor", { 337: base256(-1n, 8) }],
    ["minor", { 337: base256(2n ** 20n, 8) }],
  ])("has no number of a device for the %s (%j)", async (_, raw) => {
    expect((await refusal(tarEntry({ name: "a", type: "3", raw }))).problem).toContain("device");
  });

  it.each([
    ["without a length", "path=x\n"],
    ["shorter than its length says", "99 path=x\n"],
    ["longer than its length says", "9 path=xyz\n"],
    ["of length 0", "0 path=x\n"],
    ["with a huge length", "99999999999999999999 path=x\n"],
    ["without a keyword", "6 =ab\n"],
    ["without an equals sign", "9 pathxy\n"],
    ["that ends early", "12 pa"],
  ])("has a PAX record %s", async (_, body) => {
    const archive = Buffer.concat([tarEntry({ name: "x", type: "x" }, body), file]);
    expect((await refusal(archive)).problem).toContain("PAX record");
  });

  it.each([
    ["size", "-1", "size"],
    ["size", "1e3", "size"],
    ["size", "99999999999999999999", "size"],
    ["uid", "0x10", "uid"],
    ["mtime", "now", "time"],
    ["mtime", "1".repeat(30), "time"],
    ["path", "a\0b", "NUL"],
    ["SCHILY.xattr.", "x", "named"],
    ["SCHILY.xattr.user\0x", "x", "named"],
    [`SCHILY.xattr.${"n".repeat(256)}`, "x", "named"],
    ["LIBARCHIVE.xattr.user.x", "***", "base64"],
  ])("has a PAX header with %j = %j", async (keyword, value, problem) => {
    const archive = Buffer.concat([paxEntry([[keyword, value]]), file]);
    expect((await refusal(archive)).problem).toContain(problem);
  });

  it.each(["x", "L", "K"])("ends after a header of type %s", async (type) => {
    const archive = tarEntry({ name: "x", type }, type === "x" ? paxRecord("path", "b") : "b\0");
    expect((await refusal(archive)).problem).toContain("an entry has to follow");
  });

  it("never ends to put headers in front of an entry", async () => {
    const header = paxEntry([["path", "b"]]);
    const archive = Buffer.concat(Array.from({ length: 1_000 }, () => header));
    expect((await refusal(archive)).problem).toContain("too many headers");
  });

  it.each([
    ["a run behind the end", "0,5", "3"],
    ["runs out of order", "4,1,0,4", "9"],
    ["runs that overlap", "0,3,2,2", "9"],
    ["fewer bytes than are stored", "0,2", "9"],
    ["more bytes than are stored", "0,6", "9"],
    ["half a run", "0,5,7", "9"],
    ["no numbers", "a,b", "9"],
    ["negative numbers", "-1,5", "9"],
    ["no size", "0,5", ""],
    ["a negative size", "0,5", "-9"],
  ])("has a sparse file with %s", async (_, map, size) => {
    const records = [
      ["GNU.sparse.map", map],
      ["GNU.sparse.size", size],
    ] as const;
    const archive = Buffer.concat([paxEntry(records), tarEntry({ name: "a" }, "12345")]);
    expect((await refusal(archive)).problem).toMatch(/sparse/);
  });

  it.each([
    ["no numbers", "x\n"],
    ["no end", "2\n0\n"],
    ["no line", "1".repeat(512)],
    ["a negative number", "1\n-1\n5\n"],
    ["a huge count", "999999999999\n"],
  ])("has a sparse map of version 1.0 with %s", async (_, map) => {
    const records = [
      ["GNU.sparse.major", "1"],
      ["GNU.sparse.minor", "0"],
      ["GNU.sparse.realsize", "100"],
    ] as const;
    const data = Buffer.alloc(517);
    data.write(map);
    const archive = Buffer.concat([paxEntry(records), tarEntry({ name: "a" }, data)]);
    expect((await refusal(archive)).problem).toMatch(/sparse/);
  });

  it("has a sparse map in old style that never ends", async () => {
    const more = { 386: "1", 482: "\u0001", 483: "77777777777\0" };
    const archive = Buffer.concat([
      tarEntry({ name: "a", type: "S", format: "gnu", raw: more }),
      Buffer.alloc(512_000, "1"),
    ]);
    expect((await refusal(archive)).problem).toMatch(/sparse/);
    const { limit } = await refusal(archive, { limits: { maxSparseRuns: 100 } });
    expect(limit).toBe("maxSparseRuns");
  });

  it.each([
    ["GNU.sparse.major", "2"],
    ["GNU.sparse.offset", "x"],
    ["GNU.sparse.numbytes", "0"],
  ])("has %s %j", async (keyword, value) => {
    expect((await refusal(Buffer.concat([paxEntry([[keyword, value]]), file]))).problem).toMatch(
      /sparse/,
    );
  });
});

describe("the limits of a tar stream", () => {
  it.each([
    ["maxEntries", 2, Buffer.concat([file, file, file])],
    ["maxEntryBytes", 6, file],
    ["maxPathBytes", 4, tarEntry({ name: "abcde" })],
    ["maxPathBytes", 4, tarEntry({ name: "a", type: "2", linkName: "abcde" })],
    ["maxPathBytes", 4, Buffer.concat([paxEntry([["path", "abcde"]]), file])],
    ["maxPathBytes", 4, Buffer.concat([tarEntry({ name: "L", type: "L" }, "abcdef\0"), file])],
    ["maxPaxHeaderBytes", 20, Buffer.concat([x("abcdefgh"), file])],
    ["maxXattrValueBytes", 4, Buffer.concat([x("abcde"), file])],
    ["maxXattrBytes", 10, Buffer.concat([x("abcde"), file])],
  ])("%s = %d", async (limit, max, archive) => {
    expect(await refusal(archive, { limits: { [limit]: max } })).toMatchObject({ limit });
    expect(await readAll(archive, { limits: { [limit]: 100_000 } })).not.toEqual([]);
  });

  it("hold without being asked for", async () => {
    const big = tarEntry({ name: "a", type: "x", raw: { 124: base256(2n ** 40n, 12) } });
    expect((await refusal(big)).limit).toBe("maxPaxHeaderBytes");
    const huge = tarEntry({ name: "a", raw: { 124: base256(2n ** 50n, 12) } });
    expect((await refusal(huge)).limit).toBe("maxEntryBytes");
    const hole = { 386: base256(2n ** 50n, 12), 483: base256(2n ** 50n, 12) };
    const sparse = tarEntry({ name: "a", type: "S", format: "gnu", raw: hole });
    expect((await refusal(sparse)).limit).toBe("maxEntryBytes");
  });

  it("bound the attributes that global headers heap up", async () => {
    const headers = Array.from({ length: 60 }, (_, index) =>
      paxEntry([[`SCHILY.xattr.user.${index}`, Buffer.alloc(60_000)]], "g"),
    );
    expect((await refusal(Buffer.concat([...headers, file]))).limit).toBe("maxXattrBytes");
    const names = Array.from(
      { length: 1_025 },
      (_, index) => [`SCHILY.xattr.${index}`, ""] as const,
    );
    expect((await refusal(Buffer.concat([paxEntry(names), file]))).problem).toContain("1024");
  });
});
