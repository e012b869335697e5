import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, open, readdir, readFile, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mountFuse } from "../../src/fuse/mount-fuse.ts";
import type { BlobReader } from "../../src/mount/blob-reader.ts";
import { localBlobReader } from "../../src/mount/local-blob-reader.ts";
import { mountOverlay } from "../../src/mount/mount-overlay.ts";
import { unmount } from "../../src/mount/unmount.ts";
import { differences } from "../tree/file-listing.ts";
import { listDirectory } from "../tree/list-directory.ts";
import { memorySource } from "./memory-filesystem.ts";
import { canMount, mountPlace, type MountPlace } from "./mount-place.ts";
import { listTree, sampleImage, someFiles } from "./sample-image.ts";

const run = promisify(execFile);

let place: MountPlace;
let blobs: string;
let target: string;
beforeEach(async () => {
  place = await mountPlace();
  [blobs, target] = [await place.directory("blobs"), await place.directory("mnt")];
});
afterEach(() => place[Symbol.asyncDispose]());

describe.skipIf(!canMount)("an image mounted through FUSE (needs root and /dev/fuse)", () => {
  it("shows every file as it is", async () => {
    const { image, blob } = sampleImage();
    await blob.finish(blobs);
    await using mount = await mountFuse({ filesystem: memorySource(image), blobs, target });
    const listing = await listDirectory(mount.target);
    expect(differences(listing, listTree(image.root, blob))).toEqual([]);
    expect(listing.size).toBe(5_022);
    expect((await readdir(join(target, "many"))).length).toBe(5_000);
    expect((await stat(target)).ino).toBe(40);
  });

  it("reads any part of a file", async () => {
    const { image, contents } = await someFiles(blobs, { count: 1, bytes: 3_000_017 });
    await using _ = await mountFuse({ filesystem: memorySource(image), blobs, target });
    const content = contents.get("file-0") ?? Buffer.alloc(0);
    const file = await open(join(target, "file-0"));
    try {
      for (let turn = 0; turn < 200; turn += 1) {
        const offset = (turn * 7_919_777) % 3_100_000;
        const length = (turn * 104_729) % 300_000;
        const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, offset);
        const expected = content.subarray(offset, offset + length);
        expect(buffer.subarray(0, bytesRead).equals(expected), `${length} at ${offset}`).toBe(true);
      }
    } finally {
      await file.close();
    }
  });

  it("serves many processes at the same time", async () => {
    const { image, contents } = await someFiles(blobs, { count: 12, bytes: 1_000_000 });
    await using _ = await mountFuse({ filesystem: memorySource(image), blobs, target, threads: 3 });
    const sums = [...contents.keys()].map(async (name) => {
      const { stdout } = await run("sha256sum", [join(target, name)]);
      return [name, stdout.slice(0, 64)] as const;
    });
    const expected = [...contents].map(([name, content]) => [
      name,
      createHash("sha256").update(content).digest("hex"),
    ]);
    expect(await Promise.all(sums)).toEqual(expected);
  });

  it("is read-only", async () => {
    const { image } = await someFiles(blobs, { count: 1, bytes: 10 });
    await using _ = await mountFuse({ filesystem: memorySource(image), blobs, target });
    const attempts = await Promise.allSettled([
      writeFile(join(target, "new"), ""),
      writeFile(join(target, "file-0"), ""),
      chmod(join(target, "file-0"), 0o777),
    ]);
    for (const attempt of attempts) expect(attempt).toMatchObject({ reason: { code: "EROFS" } });
  });

  it("lets other users in as far as modes and access lists allow", async () => {
    const { image, blob } = sampleImage();
    await blob.finish(blobs);
    await chmod(place.path, 0o755);
    await using _ = await mountFuse({ filesystem: memorySource(image), blobs, target });
    const read = (name: string, uid: number): Promise<unknown> =>
      run("cat", [join(target, name)], { uid, gid: uid });
    await expect(read("link-a", 12_345)).resolves.toMatchObject({ stdout: "linked" });
    await expect(read("big", 12_345)).rejects.toMatchObject({ code: 1 });
    // The directory is of user 5 and group 6.
    await expect(read("sub/link-b", 5)).resolves.toMatchObject({ stdout: "linked" });
    await expect(read("sub/link-b", 12_345)).rejects.toMatchObject({ code: 1 });
  });

  it("tells how big it is", async () => {
    const { image } = await someFiles(blobs, { count: 3, bytes: 10 });
    await using _ = await mountFuse({ filesystem: memorySource(image), blobs, target });
    expect(await statfs(target)).toMatchObject({ bsize: 4_096, bfree: 0, files: 4, ffree: 0 });
  });

  it("reads several files at once from a reader that takes its time", async () => {
    const { image, contents } = await someFiles(blobs, { count: 3, bytes: 40_000 });
    using local = localBlobReader(blobs);
    const all = Promise.withResolvers<void>();
    let waiting = 0;
    const reader: BlobReader = {
      async read(blobId, offset, bytes) {
        waiting += 1;
        if (waiting === 3) all.resolve();
        await all.promise;
        await local.read(blobId, offset, bytes);
      },
    };
    const filesystem = memorySource(image);
    await using _ = await mountFuse({ filesystem, blobs: reader, target, threads: 1 });
    const names = [...contents.keys()];
    const read = await Promise.all(names.map((name) => readFile(join(target, name))));
    expect(
      read.map((bytes, index) => bytes.equals(contents.get(names[index] ?? "") ?? bytes)),
    ).toEqual([true, true, true]);
  });

  it("takes changes in an overlay over it", async () => {
    const { image, blob } = sampleImage(10);
    await blob.finish(blobs);
    await using mount = await mountFuse({ filesystem: memorySource(image), blobs, target });
    const [upper, work, merged] = [
      await place.directory("upper"),
      await place.directory("work"),
      await place.directory("merged"),
    ];
    await mountOverlay({ lower: [mount.target], upper, work, target: merged });
    try {
      const before = listTree(image.root, blob);
      // The root is the upper directory itself, and a device 0:0 says that a name is gone.
      const isRoot = (path: string): boolean => path === ".";
      expect(differences(await listDirectory(merged), before, { ignore: isRoot })).toEqual([
        `"chr": missing`,
      ]);
      await run("chmod", ["600", join(merged, "xattrs")]);
      await run("mv", [join(merged, "small"), join(merged, "moved")]);
      const after = await listDirectory(merged);
      expect(after.get("xattrs")?.xattrs["security.capability"]).toBe(
        before.get("xattrs")?.xattrs["security.capability"],
      );
      expect(after.get("moved")).toMatchObject({ mode: "4711", size: 6 });
      expect(differences(await listDirectory(target), before)).toEqual([]);
    } finally {
      await unmount(merged);
    }
  });
});
