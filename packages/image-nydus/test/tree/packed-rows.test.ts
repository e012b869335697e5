import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { createTree, rootInode, type FileTree } from "../../src/tree/file-tree.ts";
import { PackedRows } from "../../src/tree/packed-rows.ts";
import { ScratchSpace } from "../../src/tree/scratch-space.ts";

/** More than what stays in memory: 512 pages of 256 rows */
const count = 140_000;

async function withScratch(run: (scratch: ScratchSpace) => void): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-scratch-"));
  try {
    await using file = await open(join(directory, "scratch"), "wx+");
    run(new ScratchSpace(file.fd));
    expect((await file.stat()).size).toBeGreaterThan(0);
  } finally {
    await rm(directory, { recursive: true });
  }
}

it("keeps rows as they were written, wherever their pages are", async () => {
  await withScratch((scratch) => {
    const rows = new PackedRows(15, scratch);
    for (let row = 0; row < count; row += 1) {
      rows.add();
      rows.setUint32(row, 0, row);
      rows.setFloat64(row, 4, row / 2);
      rows.setBytes(row, 12, Buffer.from([row & 0xff, 1, 2]));
    }
    expect(rows).toHaveLength(count);
    // Rows in no order, read and changed: pages come back, and go away again with what is new.
    const wrong: number[] = [];
    const changed = new Set<number>();
    for (let step = 0, row = 7; step < count / 2; step += 1, row = (row * 7_919 + 13) % count) {
      const first = row + (changed.has(row) ? 1 : 0);
      if (rows.getUint32(row, 0) !== first || rows.copyOf(row).readDoubleLE(4) !== row / 2) {
        wrong.push(row);
      }
      rows.setUint32(row, 0, row + 1);
      changed.add(row);
    }
    for (const row of changed) {
      const last = Buffer.from([row & 0xff, 1, 2]);
      if (rows.copyOf(row).readUInt32LE(0) !== row + 1) wrong.push(row);
      if (!rows.hasBytes(row, 12, last)) wrong.push(row);
    }
    expect(wrong).toEqual([]);
    expect(changed.size).toBeGreaterThan(1_000);
    expect(() => rows.getUint32(count + 256, 0)).toThrow(RangeError);
  });
});

it("makes a tree that is the same with a scratch space", async () => {
  const fill = (tree: FileTree): unknown[] => {
    const chunk = { blobId: "b", offset: 0, size: 5, digest: Buffer.alloc(32) };
    const common = {
      mode: 0o644,
      uid: 1,
      mtime: { seconds: -1, nanoseconds: 5 },
      xattrs: new Map(),
    };
    for (let gid = 0; gid < count; gid += 1) {
      chunk.digest.writeUInt32LE(gid);
      const chunks = [tree.chunks.add({ ...chunk, index: gid })];
      const inode = tree.addInode({ ...common, kind: "file", gid, size: 5, chunks });
      tree.link(rootInode, `name-${gid % 100_000}`, inode);
    }
    const names = [...tree.namesIn(rootInode)].filter((_, index) => index % 1_000 === 0);
    return names.map((name) => {
      const inode = tree.getInode(tree.inodeOf(name) ?? rootInode);
      const chunks =
        inode.kind === "file" ? inode.chunks.map((found) => tree.chunks.at(found)) : [];
      return [tree.textOf(name), inode, chunks];
    });
  };
  const inMemory = fill(createTree());
  expect(inMemory).toHaveLength(100);
  await withScratch((scratch) => {
    expect(fill(createTree(scratch))).toEqual(inMemory);
  });
});

it("finds names again whatever they are, and none besides", () => {
  const names = fc.uniqueArray(fc.stringMatching(/^[a-c]{1,4}$/u), { maxLength: 60 });
  fc.assert(
    fc.property(names, names, (linked, unlinked) => {
      const tree = createTree();
      const { xattrs, ...inode } = { ...tree.getInode(rootInode), kind: "fifo" } as const;
      const leads = new Map<string, number>();
      for (const name of linked) {
        leads.set(name, tree.addInode({ ...inode, xattrs }));
        tree.link(rootInode, name, leads.get(name) ?? rootInode);
      }
      for (const name of unlinked) {
        const number = tree.findName(rootInode, name);
        expect(number === undefined).toBe(!leads.has(name));
        if (number !== undefined) tree.unlink(number);
        leads.delete(name);
      }
      for (const name of [...linked, ...unlinked]) {
        expect(tree.find(rootInode, name)).toBe(leads.get(name));
      }
      const listed = [...tree.namesIn(rootInode)].map((name) => tree.textOf(name));
      expect(listed).toEqual([...leads.keys()].toSorted());
    }),
  );
});
