import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { differences } from "./file-listing.ts";
import { listDirectory } from "./list-directory.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-list-"));
});
afterEach(() => rm(directory, { recursive: true }));

function sh(script: string): void {
  execFileSync("bash", ["-euc", script], { cwd: directory });
}

describe("listing a directory", () => {
  it("tells every attribute", async () => {
    sh(`umask 022; mkdir -p d; printf abc > d/f; ln d/f g; ln -s d/f s; mkfifo p
      setfattr -n user.x -v 0x00ff g; chmod 4711 g; touch -d @1700000000.000000001 g; touch -d @-1.5 p
      printf x > $'\\xff'; touch -h -d @5 s; touch -d @6 . d`);
    const listing = await listDirectory(directory);
    expect([...listing.keys()]).toEqual([".", "d", "d/f", "g", "p", "s", "\u00ff"]);
    expect(listing.get("g")).toEqual({
      path: "g",
      kind: "file",
      mode: "4711",
      uid: process.getuid?.(),
      gid: process.getgid?.(),
      size: 3,
      mtime: "1700000000.000000001",
      xattrs: { "user.x": "00ff" },
      hardlink: "d/f",
      sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    });
    expect(listing.get("p")).toMatchObject({ kind: "fifo", mtime: "-2.500000000", size: 0 });
    expect(listing.get("s")).toMatchObject({ kind: "symlink", target: "d/f", size: 0 });
    expect(listing.get("d")).toMatchObject({ kind: "directory", mtime: "6.000000000", size: 0 });
  });

  it("shows what two trees differ in", async () => {
    sh("mkdir a b; cp -a /dev/null a/n; printf 1 > a/f; printf 22 > b/f; touch -d @1 a a/f b b/f");
    const [a, b] = await Promise.all([
      listDirectory(join(directory, "a")),
      listDirectory(join(directory, "b")),
    ]);
    const lines = differences(a, b, { ignore: (_, field) => field === "sha256" });
    expect(lines).toEqual([`"f": size is 1, expected 2`, `"n": too much`]);
    expect(differences(b, a, { ignore: (_, field) => field === "sha256" })).toEqual([
      `"f": size is 2, expected 1`,
      `"n": missing`,
    ]);
    expect(differences(a, a)).toEqual([]);
  });
});
