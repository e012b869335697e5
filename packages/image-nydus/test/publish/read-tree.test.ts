import { describe, expect, it } from "vitest";
import { readTree } from "../../src/publish/read-tree.ts";
import { rootfsTar } from "../../src/publish/rootfs-tar.ts";
import { walkFilesystem } from "../../src/publish/walk-filesystem.ts";
import { chunkSource } from "../../src/publish/chunk-source.ts";
import { openBootstrap } from "../../src/rafs/open-bootstrap.ts";
import { writeBootstrap } from "../../src/rafs/write-bootstrap.ts";
import { writePackedBootstrap } from "../../src/rafs/write-packed-bootstrap.ts";
import type { DirectoryEntry, ReadableFilesystem } from "../../src/rafs/readable-filesystem.ts";
import type { ChunkRef, DirectoryInode, Inode } from "../../src/tree/inode.ts";
import { walkTree } from "../../src/tree/walk-tree.ts";
import { imageBuilder } from "../rafs/image-builder.ts";
import { memorySink } from "../rafs/memory-sink.ts";
import { oddTree } from "../rafs/odd-tree.ts";

async function oddImage() {
  const builder = imageBuilder({ blobs: 2 });
  const root = await oddTree(builder);
  return builder.finish(root);
}

describe("the tree of an image", () => {
  it("gives the image again when it is written", async () => {
    const image = await oddImage();
    const filesystem = openBootstrap(image.bootstrap);
    const tree = await readTree(filesystem, (chunk) => chunk);
    const sink = memorySink();
    // The chunks name their blobs by id by now.
    const blobs = image.blobs.map((blob) => Object.assign(blob, { name: blob.id }));
    await writePackedBootstrap(sink, { tree, blobs });
    expect(sink.bytes().equals(image.bootstrap)).toBe(true);
  });

  it("has one inode for all names of a file", async () => {
    const filesystem = openBootstrap((await oddImage()).bootstrap);
    const tree = await readTree(filesystem, (chunk) => chunk);
    const names = new Map<number, number>();
    for (const { inode } of walkTree(tree)) names.set(inode, (names.get(inode) ?? 0) + 1);
    const linked = [...walkFilesystem(filesystem)].filter(({ linkTo }) => linkTo !== undefined);
    expect(linked.length).toBeGreaterThan(0);
    const more = [...names.values()].reduce((sum, count) => sum + count - 1, 0);
    expect(more).toBe(linked.length);
  });

  it("asks for the chunks of each file once, in the order of the tree", async () => {
    const filesystem = openBootstrap((await oddImage()).bootstrap);
    const asked: ChunkRef[] = [];
    const tree = await readTree(filesystem, async (chunk) => {
      asked.push(chunk);
      return { ...chunk, blobId: "other" };
    });
    const seen = new Set<number>();
    const found: ChunkRef[] = [];
    for (const { inode: number } of walkTree(tree)) {
      const inode = tree.getInode(number);
      if (inode.kind === "file" && !seen.has(number)) {
        found.push(...inode.chunks.map((chunk) => tree.chunks.at(chunk)));
      }
      seen.add(number);
    }
    expect(found).toEqual(asked.map((chunk) => Object.assign(chunk, { blobId: "other" })));
  });

  it("ends with the reason of an abort", async () => {
    const filesystem = openBootstrap((await oddImage()).bootstrap);
    const controller = new AbortController();
    const reason = new Error("enough");
    const reading = readTree(
      filesystem,
      (chunk) => {
        controller.abort(reason);
        return chunk;
      },
      { signal: controller.signal },
    );
    await expect(reading).rejects.toBe(reason);
  });

  it("is not read beyond its limits", async () => {
    const filesystem = openBootstrap((await oddImage()).bootstrap);
    for (const limits of [{ maxNames: 5 }, { maxDepth: 0 }, { maxChunks: 1 }]) {
      await expect(readTree(filesystem, (chunk) => chunk, limits)).rejects.toMatchObject({
        code: "LIMIT_EXCEEDED",
      });
    }
  });

  it("is refused when a directory is in itself", async () => {
    const filesystem = openBootstrap((await oddImage()).bootstrap);
    const loop: DirectoryEntry = { name: "loop", nid: filesystem.rootNid, kind: "directory" };
    const circular: ReadableFilesystem = {
      ...filesystem,
      *entries() {
        yield loop;
      },
    };
    await expect(readTree(circular, (chunk) => chunk)).rejects.toMatchObject({
      code: "IMAGE_CHECKSUM_MISMATCH",
      details: { rule: "directory-loop" },
    });
  });
});

describe("the layer of an image", () => {
  const attributes = {
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    xattrs: new Map<string, Buffer>(),
  };

  async function tarOf(children: DirectoryInode["children"]): Promise<Buffer> {
    const sink = memorySink();
    const root: DirectoryInode = { ...attributes, mode: 0o755, kind: "directory", children };
    await writeBootstrap(sink, { root, blobs: [] });
    const filesystem = openBootstrap(sink.bytes());
    const reader = { read: () => Promise.reject(new Error("no chunk is needed")) };
    const pieces: Buffer[] = [];
    for await (const piece of rootfsTar(filesystem, chunkSource(reader, filesystem))) {
      pieces.push(Buffer.from(piece));
    }
    return Buffer.concat(pieces);
  }

  it("is refused when a file's name would delete another one", async () => {
    const children = new Map<string, Inode>([[".wh.x", { ...attributes, kind: "fifo" }]]);
    await expect(tarOf(children)).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("has no sockets", async () => {
    const children = new Map<string, Inode>([["s", { ...attributes, kind: "socket" }]]);
    expect(await tarOf(children)).toHaveLength(512 + 1_024);
  });
});
