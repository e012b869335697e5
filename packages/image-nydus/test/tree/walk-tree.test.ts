import { describe, expect, it } from "vitest";
import { applyLayer } from "../../src/tree/apply-layer.ts";
import {
  createTree,
  implicitDirectory,
  rootInode,
  type FileTree,
} from "../../src/tree/file-tree.ts";
import { countTree, walkTree } from "../../src/tree/walk-tree.ts";
import { readTar } from "../../src/tar/tar-reader.ts";
import { inChunks } from "../tar/tar-blocks.ts";
import { dir, file, hardlink, layer, symlink } from "./layer-entries.ts";
import { memoryChunkStore } from "./memory-chunk-store.ts";

async function treeOf(archive: Buffer): Promise<FileTree> {
  const tree = createTree();
  await applyLayer(tree, readTar(inChunks(archive)), memoryChunkStore(tree.chunks));
  return tree;
}

describe("walking a tree", () => {
  it("visits names in byte order, directories before what is in them", async () => {
    const names = ["b/x", "b-", "b/\u00ff", "a", "B", "b/x.y", "\u00e9"];
    const tree = await treeOf(layer(dir("b"), ...names.map((name) => file(name))));
    const visited = [...walkTree(tree)];
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
    const inodes = new Map(visited.map(({ path, inode }) => [path, inode]));
    for (const { path, name, inode } of visited) {
      const parent = inodes.get(path.slice(0, -name.length - 1)) ?? rootInode;
      if (name !== "") expect(tree.find(parent, name)).toBe(inode);
    }
  });

  it("takes the same way however the layer was ordered", async () => {
    const entries = [file("c"), dir("d"), file("d/b"), file("d/a"), symlink("a", "c")];
    const [one, other] = [
      await treeOf(layer(...entries)),
      await treeOf(layer(...entries.toReversed())),
    ];
    const paths = (tree: FileTree): string[] => [...walkTree(tree)].map(({ path }) => path);
    expect(paths(one)).toEqual(paths(other));
  });

  it("goes as deep as the tree is", async () => {
    const tree = await treeOf(layer());
    let deepest = rootInode;
    for (let depth = 1; depth <= 20_000; depth++) {
      const next = tree.addInode(implicitDirectory);
      tree.link(deepest, "d", next);
      deepest = next;
    }
    expect([...walkTree(tree)]).toHaveLength(20_001);
  });
});

describe("counting a tree", () => {
  it("counts a file with several names once", async () => {
    const tree = await treeOf(
      layer(
        file("a", "12345"),
        hardlink("d/b", "a"),
        hardlink("c", "a"),
        file("e", "1"),
        symlink("s", "a"),
        hardlink("t", "s"),
      ),
    );
    expect(countTree(tree)).toEqual({
      inodes: 5,
      names: 8,
      directories: 2,
      bytes: 6,
      // Seven names of one letter and a target of one.
      metadataBytes: 8,
      blobIds: new Set(["0".repeat(64)]),
    });
  });
});
