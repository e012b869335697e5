import { spawnSync } from "node:child_process";
import { chmod, lstat, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memoryFilesystem, type MemoryImage } from "../fuse/memory-filesystem.ts";
import {
  attributes,
  blobMaker,
  directory,
  listTree,
  noise,
  sampleImage,
} from "../fuse/sample-image.ts";
import { differences } from "../tree/file-listing.ts";
import { listDirectory } from "../tree/list-directory.ts";
import type { BlobReader } from "../../src/mount/blob-reader.ts";
import { extractTree, type ExtractReport } from "../../src/mount/extract-tree.ts";
import { localBlobReader } from "../../src/mount/local-blob-reader.ts";
import { removeTree } from "../../src/mount/remove-tree.ts";
import type { DirectoryInode, Inode } from "../../src/tree/inode.ts";

const isRoot = process.getuid?.() === 0 || process.env["CI"] === "true";

let place: string;
let target: string;
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), "longshore-extract-"));
  target = join(place, "root");
});
afterEach(() => removeTree(place));

async function extract(image: MemoryImage, asRoot?: boolean): Promise<ExtractReport> {
  using blobs = localBlobReader(place);
  return await extractTree(memoryFilesystem(image), blobs, { directory: target, asRoot });
}

/** Extracts a tree without blobs. */
function extractOf(root: DirectoryInode): Promise<ExtractReport> {
  return extract({ root, chunkSize: 65_536 });
}

const nobodysTree = fileURLToPath(new URL("extract-process.ts", import.meta.url));
const canReadSources =
  spawnSync("test", ["-r", nobodysTree], { uid: 65_534, gid: 65_534 }).status === 0 &&
  spawnSync(process.execPath, ["--version"], { uid: 65_534, gid: 65_534 }).status === 0;

describe("extracting an image", () => {
  it.skipIf(!isRoot)("makes every file as it is (needs root)", async () => {
    const { image, blob } = sampleImage(1_000);
    await blob.finish(place);
    const report = await extract(image);
    expect(differences(await listDirectory(target), listTree(image.root, blob))).toEqual([]);
    expect(report).toMatchObject({
      directories: 4,
      files: 1_018,
      omitted: { owners: 0, devices: 0, xattrs: 0 },
    });
    expect((await stat(join(target, "sparse"))).blocks).toBeLessThan(400);
  });

  it.skipIf(!isRoot || !canReadSources)(
    "makes what it may without root, and says what is missing (needs root to drop it)",
    async () => {
      const { image, blob } = sampleImage(1_000);
      await blob.finish(place);
      await chmod(place, 0o777);
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ["--conditions=@longshore/source", nobodysTree, place, target],
        { uid: 65_534, gid: 65_534, encoding: "utf8" },
      );
      expect(stderr).toBe("");
      expect(JSON.parse(stdout)).toMatchObject({
        omitted: { owners: 1_019, devices: 2, xattrs: 2 },
      });
      const listing = await listDirectory(target);
      const isOwner = (field: string): boolean => field === "uid" || field === "gid";
      const lines = differences(listing, listTree(image.root, blob), {
        ignore: (path, field) => isOwner(field) || (path === "xattrs" && field === "xattrs"),
      });
      expect(lines).toEqual([`"blk": missing`, `"chr": missing`]);
      expect(Object.keys(listing.get("xattrs")?.xattrs ?? {})).toEqual([
        "system.posix_acl_access",
        "user.binary",
        "user.empty",
        "user.text",
      ]);
    },
  );

  it("refuses a directory that exists", async () => {
    await writeFile(target, "mine");
    await expect(extractOf(directory([]))).rejects.toMatchObject({ code: "STATE_CONFLICT" });
    expect((await stat(target)).isFile()).toBe(true);
  });

  const file = (): Inode => blobMaker().file(Buffer.alloc(0));
  const twice = directory([]);
  const circle = directory([]);
  circle.children.set("self", circle);
  it.each([
    ["a name with a slash", directory([["../evil", file()]])],
    ["a name that leads up", directory([["..", directory([["evil", file()]])]])],
    ["the name of the directory itself", directory([[".", file()]])],
    ["an empty name", directory([["", file()]])],
    ["a name with a zero byte", directory([["a\0b", file()]])],
    [
      "a directory with two places",
      directory([
        ["a", twice],
        ["b", twice],
      ]),
    ],
    ["a directory within itself", circle],
  ])("refuses %s and leaves nothing", async (_, root) => {
    await expect(extractOf(root)).rejects.toMatchObject({ code: "IMAGE_CHECKSUM_MISMATCH" });
    expect(await readdir(place)).toEqual([]);
  });

  it("never writes through a link, even when a name comes twice", async () => {
    const outside = join(place, "outside");
    const link: Inode = { ...attributes(), kind: "symlink", target: outside };
    const inodes = [link, directory([["evil", file()]])] as const;
    const filesystem = memoryFilesystem({
      root: directory([
        ["a", inodes[0]],
        ["b", inodes[1]],
      ]),
      chunkSize: 4_096,
    });
    const names = ["x", "x"];
    const doubled = {
      ...filesystem,
      *entries(nid: number) {
        for (const entry of filesystem.entries(nid)) {
          yield nid === filesystem.rootNid ? { ...entry, name: names[0] ?? "" } : entry;
        }
      },
    };
    using blobs = localBlobReader(place);
    await expect(extractTree(doubled, blobs, { directory: target })).rejects.toMatchObject({
      code: "IMAGE_CHECKSUM_MISMATCH",
    });
    expect(await readdir(place)).toEqual([]);
  });

  it("refuses a path that is too long", async () => {
    let tree = directory([]);
    for (let depth = 0; depth < 20; depth += 1) tree = directory([["d".repeat(250), tree]]);
    await expect(extractOf(tree)).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
    expect(await readdir(place)).toEqual([]);
  });

  it("leaves nothing when the data cannot be had", async () => {
    const blob = blobMaker();
    const inner = directory([["f", blob.file(noise(100_000))]], { mode: 0o555 });
    const root = directory([
      ["d", inner],
      ["g", blob.file(noise(10))],
    ]);
    const reader: BlobReader = { read: () => Promise.reject(new Error("the network is down")) };
    const filesystem = memoryFilesystem({ root, chunkSize: 65_536 });
    await expect(extractTree(filesystem, reader, { directory: target })).rejects.toThrow(
      "the network is down",
    );
    expect(await readdir(place)).toEqual([]);
  });

  it("leaves nothing when it is aborted on the way", async () => {
    const blob = blobMaker();
    const root = directory(
      Array.from({ length: 100 }, (_, number) => [`f${number}`, blob.file(noise(1_000))] as const),
    );
    await blob.finish(place);
    using local = localBlobReader(place);
    const controller = new AbortController();
    const reason = new Error("enough");
    let reads = 0;
    const reader: BlobReader = {
      async read(blobId, offset, bytes) {
        reads += 1;
        if (reads === 20) controller.abort(reason);
        await local.read(blobId, offset, bytes);
      },
    };
    const filesystem = memoryFilesystem({ root, chunkSize: 65_536 });
    const { signal } = controller;
    await expect(extractTree(filesystem, reader, { directory: target, signal })).rejects.toBe(
      reason,
    );
    expect(reads).toBeLessThan(30);
    await expect(lstat(target)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("removes trees with directories that nobody may write", async () => {
    await extractOf(
      directory([["d", directory([["e", directory([], { mode: 0 })]], { mode: 0o555 })]]),
    );
    await removeTree(target);
    await removeTree(target);
    expect(await readdir(place)).toEqual([]);
    await rm(target, { force: true });
  });
});
