import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import {
  encodeTarHeader,
  paddingOf,
  type TarEntryFields,
} from "../../src/publish/encode-tar-header.ts";
import { readTar } from "../../src/tar/tar-reader.ts";
import { inChunks } from "../tar/tar-blocks.ts";

const plain: TarEntryFields = {
  path: "a/file",
  kind: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: { seconds: 1_700_000_000, nanoseconds: 0 },
  linkPath: "",
  device: { major: 0, minor: 0 },
  xattrs: new Map(),
};

async function readBack(...entries: readonly TarEntryFields[]): Promise<TarEntryFields[]> {
  const parts = entries.flatMap((entry) => {
    const content = Buffer.alloc(entry.size + paddingOf(entry.size), 0x78);
    return [encodeTarHeader(entry), content];
  });
  const archive = Buffer.concat([...parts, Buffer.alloc(1_024)]);
  const found: TarEntryFields[] = [];
  for await (const { content, ...entry } of readTar(inChunks(archive))) {
    for await (const _ of content);
    found.push({ ...entry, xattrs: new Map(entry.xattrs) });
  }
  return found;
}

describe("headers of an archive", () => {
  it("take one block for an ordinary file", () => {
    const header = encodeTarHeader(plain);
    expect(header).toHaveLength(512);
    const listed = execFileSync("tar", ["-tvf", "-", "--utc", "--numeric-owner"], {
      input: Buffer.concat([header, Buffer.alloc(1_024)]),
      encoding: "utf8",
    });
    expect(listed.replaceAll(/ +/g, " ")).toBe("-rw-r--r-- 0/0 0 2023-11-14 22:13 a/file\n");
  });

  it.each<readonly [string, Partial<TarEntryFields>]>([
    ["a path of 100 bytes", { path: "p".repeat(100) }],
    ["a path of 101 bytes", { path: "p".repeat(101) }],
    ["a path of 4,000 bytes", { path: "p/".repeat(2_000).slice(0, -1) }],
    ["a path of bytes", { path: "\u00ff\u00fe \n\u0001" }],
    ["a long path of bytes", { path: `${"\u00e4".repeat(200)}\u00ff=\n` }],
    ["a directory", { kind: "directory", path: "d/", mode: 0o1777 }],
    ["a directory with a long path", { kind: "directory", path: `${"d".repeat(120)}/` }],
    ["a symlink", { kind: "symlink", linkPath: "../\u00ff" }],
    ["a symlink with a long target", { kind: "symlink", linkPath: "t".repeat(4_095) }],
    ["a hard link", { kind: "hardlink", linkPath: "a/b" }],
    ["a hard link with a long target", { kind: "hardlink", linkPath: "t/".repeat(99) }],
    ["the largest device", { kind: "block-device", device: { major: 4_095, minor: 1_048_575 } }],
    ["a small device", { kind: "character-device", device: { major: 1, minor: 3 } }],
    ["a fifo", { kind: "fifo", mode: 0o7777 }],
    ["owners that fit", { uid: 0o7777777, gid: 0o7777777 }],
    ["owners that do not fit", { uid: 0o10000000, gid: 4_294_967_294 }],
    ["the year 1970", { mtime: { seconds: 0, nanoseconds: 0 } }],
    ["nanoseconds", { mtime: { seconds: 5, nanoseconds: 7 } }],
    ["half a second", { mtime: { seconds: 5, nanoseconds: 500_000_000 } }],
    ["a time before 1970", { mtime: { seconds: -1, nanoseconds: 0 } }],
    ["just before 1970", { mtime: { seconds: -1, nanoseconds: 999_999_999 } }],
    ["a fraction before 1970", { mtime: { seconds: -3, nanoseconds: 250_000_000 } }],
    ["a far time", { mtime: { seconds: 2 ** 33, nanoseconds: 0 } }],
    [
      "attributes",
      {
        xattrs: new Map([
          ["security.capability", Buffer.from("0100000200040000", "hex")],
          ["user.empty", Buffer.alloc(0)],
          ["user.lines", Buffer.from("a=b\n12 c=d\n\0")],
          ["user.\u00ff", Buffer.from("name of bytes")],
        ]),
      },
    ],
    [
      "an attribute with = in its name",
      { xattrs: new Map([["user.a=b%\u00ff", Buffer.from("=")]]) },
    ],
    ["a large attribute", { xattrs: new Map([["user.big", Buffer.alloc(65_536, 1)]]) }],
  ])("hold %s", async (_, fields) => {
    const entry = { ...plain, ...fields };
    expect(await readBack(entry, { ...plain, path: "next", size: 700 })).toEqual([
      entry,
      { ...plain, path: "next", size: 700 },
    ]);
  });

  it("hold a size of more than 8 GiB", () => {
    const header = encodeTarHeader({ ...plain, size: 2 ** 33 });
    expect(header.toString("latin1")).toContain("19 size=8589934592\n");
    expect(encodeTarHeader({ ...plain, size: 2 ** 33 - 1 })).toHaveLength(512);
  });

  it("do not depend on the order of attributes", () => {
    const one = new Map([
      ["user.a", Buffer.from("1")],
      ["user.b", Buffer.from("2")],
    ]);
    const other = new Map([...one].toReversed());
    const [first, second] = [one, other].map((xattrs) => encodeTarHeader({ ...plain, xattrs }));
    expect(first).toEqual(second);
  });

  it("count the digits of a record's length", async () => {
    // Lengths around 10, 100 and 1,000, where the length itself gets longer.
    for (let length = 60; length < 1_100; length += 1) {
      const entry = { ...plain, xattrs: new Map([["user.x", Buffer.alloc(length - 60, 0x61)]]) };
      expect(await readBack(entry)).toEqual([entry]);
    }
  });
});
