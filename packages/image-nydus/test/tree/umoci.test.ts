import { describe, expect, it } from "vitest";
import type { ByteString } from "../../src/tree/inode.ts";
import { paxEntry } from "../tar/tar-blocks.ts";
import { differences, type ListedFile } from "./file-listing.ts";
import { device, dir, file, hardlink, layer, symlink, withXattrs } from "./layer-entries.ts";
import { listLayers } from "./tree-of-archive.ts";
import { umociListing } from "./umoci-unpack.ts";

/**
 * Where umoci uses the clock: on directories that no layer describes, and on those of which it removes something at the wrong
 * moment. Times in the layers are small, so that a big one is of the clock.
 */
function isOfTheClock(listing: ReadonlyMap<ByteString, ListedFile>) {
  return (path: ByteString, field: keyof ListedFile): boolean =>
    field === "mtime" && Number(listing.get(path)?.mtime) > 1_000_000_000;
}

async function compare(layers: readonly Buffer[]): Promise<string[]> {
  const [ours, theirs] = await Promise.all([listLayers(layers), umociListing(layers)]);
  return differences(ours, theirs, { ignore: isOfTheClock(theirs) });
}

const lower = layer(
  dir("./", { mode: 0o751, uid: 3, mtime: 77 }),
  dir("d", { mode: 0o711, gid: 9 }),
  file("d/f", "lower", { mode: 0o4750, uid: 7 }),
  dir("d/s", { mode: 0o700 }),
  file("d/s/deep", "deep"),
  file("e", "lower e"),
  hardlink("h", "e"),
  symlink("l", "d"),
  symlink("abs", "/d/s"),
  symlink("d/s/back", "/d"),
  symlink("out", "../../../d"),
  symlink("dangling", "made/by/../link"),
);

/** Layers that are laid over the lower one, each list in one image */
const matrix: Readonly<Record<string, readonly Buffer[]>> = {
  "every kind of file": [
    layer(
      device("dev/null", { mode: 0o666 }),
      device("dev/zero", { type: "4", major: 259, minor: 70_000 }),
      device("dev/whiteout", { major: 0, minor: 0 }),
      file("dev/p", "", { type: "6" }),
      file("\u00ff\u00fe", "name of bytes"),
      file("new\nline", "n"),
      Buffer.concat([paxEntry([["mtime", "5.000000007"]]), file("nano")]),
      Buffer.concat([paxEntry([["mtime", "-1.25"]]), file("old")]),
      Buffer.concat([paxEntry([["uid", "3000000000"]]), file("big-uid")]),
      withXattrs({ "user.a": "\u0000\n=\u00ff", "trusted.b": "1" }, file("x")),
      withXattrs(
        { "security.capability": `\u0001\0\0\u0002\0\u0004${"\0".repeat(14)}` },
        file("cap"),
      ),
      withXattrs(
        {
          "system.posix_acl_access":
            "\u0002\0\0\0\u0001\0\u0006\0\u00ff\u00ff\u00ff\u00ff\u0002\0\u0004\0\u0007\0\0\0\u0004\0\u0004\0\u00ff\u00ff\u00ff\u00ff\u0010\0\u0004\0\u00ff\u00ff\u00ff\u00ff \0\u0004\0\u00ff\u00ff\u00ff\u00ff",
        },
        file("acl"),
      ),
    ),
  ],
  "whiteouts of files, directories, links": [
    layer(file(".wh.e", ""), file("d/.wh.s", ""), file(".wh.l", ""), file(".wh.nothing", "")),
  ],
  "a whiteout of a directory before its siblings": [
    layer(file(".wh.d", ""), dir("d"), file("d/n")),
  ],
  "a whiteout of a directory behind its siblings": [
    layer(dir("d"), file("d/n"), file(".wh.d", "")),
  ],
  "a whiteout of a file before and behind it": [
    layer(file("d/.wh.f", ""), file("d/f", "new")),
    layer(file("e", "new"), file(".wh.e", "")),
  ],
  "an opaque directory before its siblings": [
    layer(dir("d"), file("d/.wh..wh..opq", ""), dir("d/s"), file("d/s/n"), file("d/g")),
  ],
  "an opaque directory behind its siblings": [
    layer(dir("d"), dir("d/s"), file("d/s/n"), file("d/g"), file("d/.wh..wh..opq", "")),
  ],
  "an opaque root": [layer(file("n"), file(".wh..wh..opq", ""))],
  "opaque twice, with a layer between": [
    layer(file("d/.wh..wh..opq", ""), file("d/one")),
    layer(file("d/two")),
    layer(file("d/three"), file("d/.wh..wh..opq", "")),
  ],
  "whiteouts through symlinks": [layer(file("l/.wh.f", ""), file("abs/.wh..wh..opq", ""))],
  "whiteouts in what is no directory": [layer(file("e/.wh.x", ""), file("no/.wh.x", ""))],
  "a whiteout of one name of a file": [layer(file(".wh.e", ""))],
  "files through symlinks": [
    layer(
      file("l/via", "1"),
      file("abs/via", "2"),
      file("out/via2", "3"),
      file("abs/back/s/back/via3", "5"),
      file("dangling/via", "4"),
    ),
  ],
  "a directory over a directory": [
    layer(withXattrs({ "user.a": "1" }, dir("d", { mode: 0o1777, uid: 4, mtime: 6 }))),
    layer(withXattrs({ "user.b": "2" }, dir("d", { mode: 0o755, mtime: 8 }))),
  ],
  "kinds that replace each other": [
    layer(file("d", "file over directory"), dir("e"), file("e/in"), dir("l"), symlink("h", "e")),
    layer(dir("d", { mode: 0o700 }), file("d/again"), device("e"), file("l", "file")),
  ],
  "hard links across layers": [
    layer(
      hardlink("e2", "e"),
      hardlink("l2", "l"),
      hardlink("via", "l/f", { mode: 0o777, uid: 1 }),
    ),
    layer(file("e", "changed"), hardlink("e3", "/e2")),
    layer(file(".wh.e2", ""), device("n"), hardlink("n2", "n")),
  ],
  "a hard link before its target is replaced": [
    layer(hardlink("kept", "e"), file("e", "new"), hardlink("new", "./e"), file(".wh.h", "")),
  ],
  "duplicate entries": [
    layer(
      file("a", "1"),
      file("a", "22"),
      dir("a"),
      file("a/b"),
      symlink("a", "e"),
      file("a", "333"),
    ),
  ],
  "missing parents": [
    layer(file("x/y/z"), dir("x", { mode: 0o711, mtime: 6 })),
    layer(dir("x/y", { mode: 0o700 }), file("d/new/parent")),
  ],
  "paths in odd forms": [layer(file("/slash"), file("./dot"), file("d//./double"), dir("dir/"))],
};

describe("layers unpacked by umoci", () => {
  it.each(Object.entries(matrix))("make the same tree: %s", async (_, upper) => {
    expect(await compare([lower, ...upper])).toEqual([]);
  });

  it.each([
    ["a file in a file", layer(file("e/x"))],
    ["a file in a file, described later", layer(file("e/x"), dir("e"))],
    ["a hard link to nothing", layer(hardlink("x", "y"))],
    ["a hard link to itself", layer(hardlink("e", "e"))],
    ["a hard link to a directory", layer(hardlink("x", "d"))],
    ["a hard link to what the layer hides", layer(file(".wh.e", ""), hardlink("x", "e"))],
    ["symlinks in a circle", layer(symlink("a", "b"), symlink("b", "a"), file("a/x"))],
    ["a root that is a file", layer(file("./"))],
    ["an empty name", layer(file(""))],
    ["a whiteout without a name", layer(file("d/.wh."))],
  ])("are refused by both: %s", async (_, upper) => {
    await expect(umociListing([lower, upper])).rejects.toThrow("umoci");
    await expect(listLayers([lower, upper])).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });
});
