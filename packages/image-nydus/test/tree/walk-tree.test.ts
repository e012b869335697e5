import { describe, expect, it } from "vitest";
import { applyLayer } from "../../src/tree/apply-layer.ts";
import { createTree, implicitDirectory } from "../../src/tree/file-tree.ts";
import type { DirectoryInode } from "../../src/tree/inode.ts";
import { countTree, walkTree } from "../../src/tree/walk-tree.ts";
import { readTar } from "../../src/tar/tar-reader.ts";
import { inChunks } from "../tar/tar-blocks.ts";
import { dir, file, hardlink, layer, symlink } from "./layer-entries.ts";
import { memoryChunkStore } from "./memory-chunk-store.ts";

async function treeOf(archive: Buffer): Promise<DirectoryInode> {
  const tree = createTree();
  await applyLayer(tree, readTar(inChunks(archive)), memoryChunkStore());
  return tree.root;
}

describe("walking a tree", () => {
  it("visits names in byte order, directories before what is in them", async () => {
    const names = ["b/x", "b-", "b/\u00ff", "a", "B", "b/x.y", "\u00e9"];
    const root = await treeOf(layer(dir("b"), ...names.map((name) => file(name))));
    const visited = [...walkTree(root)];
    expect(visited.map(({ path }) => path)).toEqual([
      "",
      "B",
      "a",
      "b",
      "b/x",
      "b/x.y",
      "b/\u00ff",
      "b-",
      "\u00e9",
    ]);
    expect(visited.map(({ depth }) => depth)).toEqual([0, 1, 1, 1, 2, 2, 2, 1, 1]);
    expect(
      visited.every(
        ({ name, inode, parent }) => name === "" || parent.children.get(name) === inode,
      ),
    ).toBe(true);
  });

  it("takes the same way however the layer was ordered", async () => {
    const entries = [file("c"), dir("d"), file("d/b"), file("d/a"), symlink("a", "c")];
    const [one, other] = [
      await treeOf(layer(...entries)),
      await treeOf(layer(...entries.toReversed())),
    ];
    const paths = (root: DirectoryInode): string[] => [...walkTree(root)].map(({ path }) => path);
    expect(paths(one)).toEqual(paths(other));
  });

  it("goes as deep as the tree is", async () => {
    const root = await treeOf(layer());
    let deepest = root;
    for (let depth = 1; depth <= 20_000; depth++) {
      const next = implicitDirectory(new Map());
      deepest.children.set("d", next);
      deepest = next;
    }
    expect([...walkTree(root)]).toHaveLength(20_001);
  });
});

describe("counting a tree", () => {
  it("counts a file with several names once", async () => {
    const root = await treeOf(
      layer(
        file("a", "12345"),
        hardlink("d/b", "a"),
        hardlink("c", "a"),
        file("e", "1"),
        symlink("s", "a"),
        hardlink("t", "s"),
      ),
    );
    const counts = countTree(root);
    expect(counts).toMatchObject({ inodes: 5, names: 8, directories: 2, bytes: 6 });
    const links = new Map([...counts.linkCounts].map(([{ kind }, count]) => [kind, count]));
    expect(links).toEqual(
      new Map([
        ["file", 3],
        ["symlink", 2],
      ]),
    );
  });
});
