import { expect, it } from "vitest";
import { ownersOfImage } from "../../src/commit/owners-of-image.ts";
import type { TarEntry } from "../../src/tar/tar-entry.ts";
import type { DirectoryInode, FileInode } from "../../src/tree/inode.ts";
import { memoryFilesystem } from "../fuse/memory-filesystem.ts";

const mtime = { seconds: 5, nanoseconds: 6 };
const capability = Buffer.from("cap");

function file(uid: number): FileInode {
  const xattrs = new Map([
    ["security.capability", capability],
    ["user.x", Buffer.from("gone since")],
  ]);
  return { kind: "file", mode: 0o644, uid, gid: uid + 1, mtime, xattrs, size: 3, chunks: [] };
}

const etc: DirectoryInode = {
  ...file(20),
  kind: "directory",
  children: new Map([
    ["same", file(30)],
    ["longer", file(40)],
  ]),
};
const root: DirectoryInode = { ...etc, uid: 10, gid: 11, children: new Map([["etc", etc]]) };
const image = memoryFilesystem({ root, chunkSize: 4_096 });

function entry(path: string, fields: Partial<TarEntry> = {}): TarEntry {
  const content: TarEntry["content"] = (async function* none() {})();
  const common = { mode: 0o644, uid: 1000, gid: 1000, size: 3, mtime, linkPath: "", content };
  const device = { major: 0, minor: 0 };
  return { ...common, path, kind: "file", device, xattrs: new Map(), ...fields };
}

it("gives files of a copy back to whom they belong in the image", async () => {
  async function* entries() {
    yield entry(".", { kind: "directory" });
    yield entry("etc", { kind: "directory" });
    yield entry("etc/same", { xattrs: new Map([["user.y", Buffer.from("new")]]) });
    yield entry("etc/longer", { size: 4 });
    yield entry("etc/new");
    yield entry("etc/same/below");
  }
  const owned: TarEntry[] = [];
  for await (const owner of ownersOfImage(entries(), image)) owned.push(owner);
  const summary = owned.map(({ path, uid, gid, xattrs }) => [
    path,
    uid,
    gid,
    [...xattrs.keys()].join(" "),
  ]);
  expect(summary).toEqual([
    [".", 10, 11, "security.capability"],
    ["etc", 20, 21, "security.capability"],
    ["etc/same", 30, 31, "security.capability user.y"],
    ["etc/longer", 40, 41, ""],
    ["etc/new", 0, 0, ""],
    ["etc/same/below", 0, 0, ""],
  ]);
});
