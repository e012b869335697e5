import { isLongshoreError } from "@longshore/core";
import { describe, expect, it } from "vitest";
import { applyLayer } from "../../src/tree/apply-layer.ts";
import { createTree } from "../../src/tree/file-tree.ts";
import { readTar } from "../../src/tar/tar-reader.ts";
import { base256, inChunks, paxEntry, tarEntry } from "../tar/tar-blocks.ts";
import { device, dir, file, hardlink, layer, symlink, withXattrs } from "./layer-entries.ts";
import { memoryChunkStore } from "./memory-chunk-store.ts";
import { listLayers } from "./tree-of-archive.ts";

/** `d/ 755`, `f = content size`, `s -> target`, and so on, of all but the root. */
async function lines(...layers: readonly Buffer[]): Promise<string[]> {
  const listing = await listLayers(layers);
  return [...listing.values()]
    .filter(({ path }) => path !== ".")
    .map(({ path, kind, mode, target, hardlink: first }) => {
      const link = first === undefined || first === path ? "" : ` = ${first}`;
      if (kind === "directory") return `${path}/ ${mode}`;
      return target === undefined ? `${path}${link}` : `${path} -> ${target}${link}`;
    });
}

async function refusal(...layers: readonly Buffer[]): Promise<Record<string, unknown>> {
  const error: unknown = await listLayers(layers).then(
    () => expect.unreachable("the layers were applied"),
    (reason: unknown) => reason,
  );
  if (!isLongshoreError(error, "VALIDATION_ERROR")) throw error;
  return { ...error.details };
}

describe("a tree without layers", () => {
  it("is a root from 1970", async () => {
    expect((await listLayers([])).get(".")).toEqual({
      path: ".",
      kind: "directory",
      mode: "0755",
      uid: 0,
      gid: 0,
      size: 0,
      mtime: "0.000000000",
      xattrs: {},
    });
  });
});

describe("applying a layer", () => {
  it("puts every kind of file in its place, with all attributes", async () => {
    const listing = await listLayers([
      layer(
        dir("./", { mode: 0o700, uid: 1, mtime: 9 }),
        dir("d/", { mode: 0o3775, gid: 5 }),
        withXattrs(
          { "user.a": "1\0\n", "security.capability": "\u0001\u0000" },
          file("d/f", "content"),
        ),
        symlink("s", "../../anywhere/.."),
        device("d/null", { mode: 0o666 }),
        tarEntry({ name: "p", type: "6" }),
      ),
    ]);
    expect(listing.get(".")).toMatchObject({ mode: "0700", uid: 1, mtime: "9.000000000" });
    expect(listing.get("d")).toMatchObject({ kind: "directory", mode: "3775", gid: 5 });
    expect(listing.get("d/f")).toMatchObject({
      size: 7,
      xattrs: { "user.a": "31000a", "security.capability": "0100" },
      sha256: "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73",
    });
    expect(listing.get("s")).toMatchObject({
      kind: "symlink",
      target: "../../anywhere/..",
      mode: "0777",
    });
    expect(listing.get("d/null")).toMatchObject({ kind: "character-device", device: "1:3" });
    expect(listing.get("p")).toMatchObject({ kind: "fifo" });
  });

  it("lets paths begin at the root however they are written", async () => {
    const found = await lines(layer(file("/a"), file("./b"), file("//c//./d"), file("e/")));
    expect(found).toEqual(["a", "b", "c/ 0755", "c/d", "e"]);
  });

  it("gives a directory the attributes of the upper layer and keeps what is in it", async () => {
    const lower = layer(withXattrs({ "user.a": "1" }, dir("d", { mode: 0o711 })), file("d/f"));
    const upper = layer(dir("d", { mode: 0o700, mtime: 6 }), file("d/g"));
    const listing = await listLayers([lower, upper]);
    expect(listing.get("d")).toMatchObject({ mode: "0700", mtime: "6.000000000", xattrs: {} });
    expect([...listing.keys()]).toEqual([".", "d", "d/f", "d/g"]);
  });

  it("makes missing parents, and changes none that are there", async () => {
    expect(await lines(layer(dir("a", { mode: 0o711 })), layer(file("a/b/c/f")))).toEqual([
      "a/ 0711",
      "a/b/ 0755",
      "a/b/c/ 0755",
      "a/b/c/f",
    ]);
  });

  it("takes the attributes of a parent that comes later", async () => {
    expect(await lines(layer(file("d/f"), dir("d", { mode: 0o700 })))).toEqual(["d/ 0700", "d/f"]);
    expect(await lines(layer(file("d/f")), layer(dir("d", { mode: 0o700 })))).toEqual([
      "d/ 0700",
      "d/f",
    ]);
  });

  it("replaces whatever is no directory on both sides", async () => {
    const lower = layer(file("d/f"), file("f"), symlink("s", "d"));
    const upper = layer(file("d"), dir("f"), dir("s"), file("s/g"));
    expect(await lines(lower, upper)).toEqual(["d", "f/ 0755", "s/ 0755", "s/g"]);
  });

  it("takes the later of two entries for a path", async () => {
    const listing = await listLayers([
      layer(file("a", "first"), file("a", "2nd"), dir("a"), file("a", "third!")),
    ]);
    expect(listing.get("a")).toMatchObject({ kind: "file", size: 6 });
  });

  it("asks for the bytes of files that have some, and of nothing else", async () => {
    const sizes: number[] = [];
    const archive = layer(file("a", "123"), file("empty", ""), file(".wh.b", "1"), dir("d"));
    const tree = createTree();
    const store = memoryChunkStore(tree.chunks);
    await applyLayer(tree, readTar(inChunks(archive)), {
      storeFile(content, size) {
        sizes.push(size);
        return store.storeFile(content, size);
      },
    });
    expect(sizes).toEqual([3]);
  });

  it("passes on what the store throws, and closes the source", async () => {
    let isClosed = false;
    async function* source(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield file("a", "123");
      } finally {
        isClosed = true;
      }
    }
    const full = new Error("disk full");
    const applying = applyLayer(createTree(), readTar(source()), {
      storeFile: () => Promise.reject(full),
    });
    await expect(applying).rejects.toBe(full);
    expect(isClosed).toBe(true);
  });

  it("ends with the signal's reason", async () => {
    const controller = new AbortController();
    async function* source(): AsyncGenerator<Buffer> {
      for (let index = 0; ; index++) {
        if (index === 100) controller.abort(new Error("enough"));
        yield file(`f${index}`, "");
      }
    }
    const applying = applyLayer(createTree(), readTar(source()), {
      storeFile: () => Promise.resolve([]),
      signal: controller.signal,
    });
    await expect(applying).rejects.toThrow("enough");
  });
});

describe("whiteouts", () => {
  const lower = layer(
    dir("d", { mode: 0o711 }),
    file("d/f"),
    file("d/s/g"),
    file("e"),
    symlink("l", "d"),
  );

  it("hide files, directories and symlinks of lower layers", async () => {
    expect(
      await lines(lower, layer(file("d/.wh.f", ""), file(".wh.e", ""), file(".wh.l", ""))),
    ).toEqual(["d/ 0711", "d/s/ 0755", "d/s/g"]);
    expect(await lines(lower, layer(file(".wh.d", "")))).toEqual(["e", "l -> d"]);
  });

  it.each([
    ["before", [file(".wh.d", ""), file("d/new")]],
    ["behind", [file("d/new"), file(".wh.d", "")]],
    ["between", [file("d/new"), file(".wh.d", ""), file("d/new")]],
  ])("spare what their own layer has %s them", async (_, entries) => {
    // The directory is one of the upper layer, so it has nothing from below: not the attributes either.
    expect(await lines(lower, layer(...entries))).toEqual(["d/ 0755", "d/new", "e", "l -> d"]);
  });

  it.each([
    ["before", [file("d/.wh..wh..opq", ""), file("d/s/new"), dir("d/t")]],
    ["behind", [file("d/s/new"), dir("d/t"), file("d/.wh..wh..opq", "")]],
    [
      "twice",
      [file("d/s/new"), file("d/.wh..wh..opq", ""), dir("d/t"), file("d/.wh..wh..opq", "")],
    ],
  ])("of all files of a directory spare their own layer: %s", async (_, entries) => {
    expect(await lines(lower, layer(...entries))).toEqual([
      "d/ 0711",
      "d/s/ 0755",
      "d/s/new",
      "d/t/ 0755",
      "e",
      "l -> d",
    ]);
  });

  it("keep the attributes that their own layer gives", async () => {
    for (const entries of [
      [file(".wh.d", ""), dir("d", { mode: 0o700 })],
      [dir("d", { mode: 0o700 }), file(".wh.d", "")],
    ]) {
      expect(await lines(lower, layer(...entries))).toEqual(["d/ 0700", "e", "l -> d"]);
    }
  });

  it("hide the whole tree at its root", async () => {
    expect(await lines(lower, layer(file("new"), file(".wh..wh..opq", "")))).toEqual(["new"]);
  });

  it("spare a file that replaces the hidden one", async () => {
    expect(
      await lines(lower, layer(file("e", "new"), file(".wh.e", ""), file(".wh.d", ""), file("d"))),
    ).toEqual(["d", "e", "l -> d"]);
  });

  it("spare what is in a directory that their own layer makes", async () => {
    const upper = layer(
      file("n/x"),
      file("n/.wh.x", ""),
      dir("m"),
      file("m/y"),
      file("m/.wh.y", ""),
    );
    expect(await lines(upper)).toEqual(["m/ 0755", "m/y", "n/ 0755", "n/x"]);
    expect(await lines(upper, layer(file("m/.wh.y", ""), file("n/.wh.x", "")))).toEqual([
      "m/ 0755",
      "n/ 0755",
    ]);
  });

  it("of names that are not there do nothing", async () => {
    const upper = layer(
      file(".wh.x", ""),
      file("x/y/.wh.z", ""),
      file("x/.wh..wh..opq", ""),
      file("e/.wh.z", ""),
    );
    expect(await lines(lower, upper)).toEqual(await lines(lower));
  });

  it("count whatever kind of entry they are", async () => {
    expect(
      await lines(layer(file("a"), file("b")), layer(dir(".wh.a"), symlink(".wh.b", "x"))),
    ).toEqual([]);
  });

  it("act through symlinks on the way", async () => {
    expect(await lines(lower, layer(file("l/.wh.f", "")))).not.toContain("d/f");
    expect(await lines(lower, layer(file("l/.wh..wh..opq", "")))).toEqual([
      "d/ 0711",
      "e",
      "l -> d",
    ]);
  });

  it("act on layers further below, and names can come back", async () => {
    const hide = layer(file(".wh.d", ""));
    expect(await lines(lower, hide, layer(file("d/f")))).toEqual(["d/ 0755", "d/f", "e", "l -> d"]);
  });

  it("leave other names of a file alone", async () => {
    const links = layer(file("a"), hardlink("b", "a"), hardlink("c", "a"));
    expect(await lines(links, layer(file(".wh.a", "")))).toEqual(["b", "c = b"]);
  });

  it("of storage drivers for themselves are left out", async () => {
    const upper = layer(file(".wh..wh.aufs"), file("d/.wh..wh.orph/x"), file(".wh..wh.plnk/1.2"));
    expect(await lines(lower, upper)).toEqual(await lines(lower));
  });

  it("are quick, however many there are", async () => {
    const many = Array.from({ length: 20_000 }, (_, index) => file(`d/n${index}`, ""));
    const markers = Array.from({ length: 20_000 }, () => file("d/.wh..wh..opq", ""));
    expect(await lines(lower, layer(...many, ...markers))).toHaveLength(20_003);
  });
});

describe("hard links", () => {
  it("are names of one inode, with the attributes of the first", async () => {
    const listing = await listLayers([
      layer(file("a", "content", { uid: 7 }), hardlink("d/b", "a", { uid: 9, mode: 0o777 })),
    ]);
    expect(listing.get("d/b")).toMatchObject({ uid: 7, mode: "0644", hardlink: "a", size: 7 });
  });

  it("lead to symlinks and devices, too", async () => {
    expect(
      await lines(layer(symlink("s", "x"), hardlink("t", "s"), device("n"), hardlink("o", "n"))),
    ).toEqual(["n", "o = n", "s -> x", "t -> x = s"]);
  });

  it("lead to files of lower layers", async () => {
    const upper = layer(hardlink("b", "./a"), hardlink("c", "/b"));
    expect(await lines(layer(file("a")), upper)).toEqual(["a", "b = a", "c = a"]);
    expect(await lines(layer(file("a")), upper, layer(file("a")))).toEqual(["a", "b", "c = b"]);
  });

  it("follow symlinks on the way, not the last one", async () => {
    expect(await lines(layer(file("d/f"), symlink("l", "/d"), hardlink("h", "l/f")))).toEqual([
      "d/ 0755",
      "d/f",
      "h = d/f",
      "l -> /d",
    ]);
  });

  it("keep the old file when its other name is replaced", async () => {
    const listing = await listLayers([layer(file("a", "1"), hardlink("b", "a"), file("a", "22"))]);
    expect(listing.get("b")).toMatchObject({ size: 1 });
    expect(listing.get("b")?.hardlink).toBeUndefined();
  });

  it.each([
    ["missing", hardlink("b", "nowhere")],
    ["missing", hardlink("b", "d/f/x")],
    ["missing", hardlink("b", "b")],
    ["missing", Buffer.concat([file(".wh.a", ""), hardlink("b", "a")])],
    ["a directory", hardlink("b", "d")],
    ["a directory", hardlink("b", "/")],
    ["..", hardlink("b", "../a")],
    ["..", hardlink("b", "d/../a")],
    ["empty", hardlink("b", "")],
  ])("are refused when the target is %s", async (problem, entry) => {
    const lower = layer(file("a"), file("d/f"));
    const details = await refusal(lower, layer(entry));
    expect(details).toMatchObject({ entry: "b" });
    expect(details["problem"]).toContain(problem);
  });
});

describe("symlinks on the way to a file", () => {
  it("are followed inside of the tree", async () => {
    const lower = layer(dir("usr/lib"), symlink("lib", "usr/lib"));
    expect(await lines(lower, layer(file("lib/x")))).toEqual([
      "lib -> usr/lib",
      "usr/ 0755",
      "usr/lib/ 0755",
      "usr/lib/x",
    ]);
  });

  it.each([
    ["/etc", "etc/passwd"],
    ["../../../../etc", "etc/passwd"],
    ["x/../../../etc", "etc/passwd"],
    ["/../etc/.", "etc/passwd"],
    ["/", "passwd"],
  ])("never lead out of it: %s", async (target, place) => {
    const found = await lines(layer(symlink("l", target), file("l/passwd")));
    expect(found).toContain(place);
    expect(found).toContain(`l -> ${target}`);
  });

  it("begin at the root when they are absolute, and else where they are", async () => {
    const links = layer(symlink("a/abs", "/b"), symlink("a/rel", "b"), symlink("a/up", "../c"));
    const files = layer(file("a/abs/1"), file("a/rel/2"), file("a/up/3"));
    const found = await lines(links, files);
    expect(found.filter((line) => /\d$/.test(line) && !line.includes(" "))).toEqual([
      "a/b/2",
      "b/1",
      "c/3",
    ]);
  });

  it("are refused in a circle", async () => {
    const circle = layer(symlink("a", "b"), symlink("b", "a"), file("a/f"));
    expect((await refusal(circle))["problem"]).toMatch(/circle/);
    expect((await refusal(layer(symlink("a", "a/a"), file("a/f"))))["problem"]).toMatch(/circle/);
    const growing = layer(symlink("a", "./a/.."), file("a/f"));
    expect((await refusal(growing))["problem"]).toMatch(/circle/);
  });

  it("are refused when they make too long a way", async () => {
    // Each leads to itself by 1,600 names, and then on to the next one.
    const around = "a/../".repeat(800);
    const links = [1, 2, 3].map((number) => {
      const target = [["linkpath", `${around}${number + 1}`]] as const;
      return Buffer.concat([paxEntry(target), symlink(`${number}`, "x")]);
    });
    expect(await lines(layer(...links, file("3/f")))).toContain("4/f");
    expect((await refusal(layer(...links, file("1/f"))))["problem"]).toMatch(/too long/);
  });
});

describe("hostile layers", () => {
  it.each([
    ["..", file("../etc/passwd")],
    ["..", file("a/../../b")],
    ["..", dir("..")],
    ["..", file("a/..")],
    ["..", file("../.wh.a")],
    ["root", file(".")],
    ["root", symlink("/", "x")],
    ["longer than 255", Buffer.concat([paxEntry([["path", "n".repeat(256)]]), file("x")])],
    ["longer than 255", Buffer.concat([paxEntry([["path", `${"n".repeat(256)}/f`]]), file("x")])],
    ["empty", file("")],
    ["whiteout of no file", file(".wh.")],
    ["whiteout of no file", file("d/.wh..")],
    ["whiteout of no file", file("d/.wh...")],
    ["lies in a whiteout", file(".wh.d/f")],
    ["symlink to nothing", symlink("s", "")],
    ["4,095", Buffer.concat([paxEntry([["linkpath", "t".repeat(4_096)]]), symlink("s", "x")])],
    ["no directory", layer(file("a"), file("a/b"))],
    ["no directory", layer(file("a"), file("a/b/c"))],
    ["no directory", layer(device("a"), symlink("l", "a"), file("l/b"))],
  ])("are refused: %s (%#)", async (problem, archive) => {
    expect((await refusal(archive))["problem"]).toContain(problem);
  });

  it("are refused when a file lies in a file of a lower layer", async () => {
    expect((await refusal(layer(file("a")), layer(file("a/b"))))["problem"]).toContain(
      "no directory",
    );
  });

  it("take names of 255 bytes and whiteouts of them", async () => {
    const name = "n".repeat(255);
    const lower = layer(Buffer.concat([paxEntry([["path", name]]), file("x")]));
    expect(await lines(lower)).toEqual([name]);
    const upper = layer(Buffer.concat([paxEntry([["path", `.wh.${name}`]]), file("x")]));
    expect(await lines(lower, upper)).toEqual([]);
  });

  it.each([
    ["maxEntries", 3, layer(file("a"), file("b/c"), file(".wh.d", ""))],
    ["maxFileBytes", 9, layer(file("a", "12345"), file("a", "12345"))],
    ["maxMetadataBytes", 20, layer(file("abcde"), symlink("s", "1234567890123456"))],
    ["maxMetadataBytes", 20, layer(withXattrs({ "user.a": "12345678901234567890" }, file("a")))],
    ["maxDepth", 2, layer(file("a/b/c/d"))],
  ])("are refused beyond %s = %d", async (limit, max, archive) => {
    const error: unknown = await listLayers([archive], { [limit]: max }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: "VALIDATION_ERROR", details: { limit } });
    await expect(listLayers([archive], { [limit]: max + 1_000 })).resolves.toBeDefined();
  });

  it("count against the limits what earlier layers have put in", async () => {
    const limits = { maxFileBytes: 9 };
    const layers = [layer(file("a", "12345")), layer(file(".wh.a", ""), file("b", "12345"))];
    await expect(listLayers(layers, limits)).rejects.toMatchObject({
      details: { limit: "maxFileBytes" },
    });
  });

  it("may hold 10 GB of nothing in some kilobytes", async () => {
    const size = 10n * 2n ** 30n;
    const hole = { 386: base256(size, 12), 398: "0", 483: base256(size, 12) };
    const archive = layer(tarEntry({ name: "a", type: "S", format: "gnu", raw: hole }));
    const tree = createTree();
    const digest = Buffer.alloc(32);
    const zeros = tree.chunks.add({ blobId: "b", index: 0, offset: 0, size: 2 ** 20, digest });
    let holes = 0;
    await applyLayer(tree, readTar(inChunks(archive)), {
      async storeFile(content) {
        for await (const part of content) if (part.kind === "hole") holes += part.size;
        return Array.from({ length: holes / 2 ** 20 }, () => zeros);
      },
    });
    expect(holes).toBe(Number(size));
    await expect(listLayers([archive], { maxFileBytes: 2 ** 30 })).rejects.toMatchObject({
      details: { limit: "maxFileBytes", entry: "a" },
    });
  });
});
