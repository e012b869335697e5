import { spawn } from "node:child_process";
import { once } from "node:events";
import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { mountFuse, type FuseReadError } from "../../src/fuse/mount-fuse.ts";
import type { BlobReader } from "../../src/mount/blob-reader.ts";
import { localBlobReader } from "../../src/mount/local-blob-reader.ts";
import { isMounted } from "../../src/mount/mounted-at.ts";
import { unmount } from "../../src/mount/unmount.ts";
import { memorySource } from "./memory-filesystem.ts";
import { canMount, mountPlace, type MountPlace } from "./mount-place.ts";
import { directory, someFiles } from "./sample-image.ts";

let place: MountPlace;
let blobs: string;
let target: string;
beforeEach(async () => {
  place = await mountPlace();
  [blobs, target] = [await place.directory("blobs"), await place.directory("mnt")];
});
afterEach(() => place[Symbol.asyncDispose]());

describe.skipIf(!canMount)("the life of a FUSE mount (needs root and /dev/fuse)", () => {
  it("gives EIO and says why when the data cannot be had, and tries again when asked again", async () => {
    const { image, contents } = await someFiles(blobs, { count: 1, bytes: 40_000 });
    using local = localBlobReader(blobs);
    let isDown = true;
    const reader: BlobReader = {
      async read(blobId, offset, bytes) {
        if (isDown) throw new Error("the network is down");
        await local.read(blobId, offset, bytes);
      },
    };
    const failures: FuseReadError[] = [];
    await using _ = await mountFuse({
      filesystem: memorySource(image),
      blobs: reader,
      target,
      onReadError: (failure) => failures.push(failure),
    });
    await expect(readFile(join(target, "file-0"))).rejects.toMatchObject({ code: "EIO" });
    expect(failures[0]).toMatchObject({ nid: 41, error: { message: "the network is down" } });
    isDown = false;
    expect(
      (await readFile(join(target, "file-0"))).equals(contents.get("file-0") ?? Buffer.alloc(0)),
    ).toBe(true);
  });

  it("gives EIO and says why when a local blob is missing", async () => {
    const { image } = await someFiles(blobs, { count: 1, bytes: 10 });
    const failures: FuseReadError[] = [];
    await using _ = await mountFuse({
      filesystem: memorySource(image),
      blobs: await place.directory("elsewhere"),
      target,
      onReadError: (failure) => failures.push(failure),
    });
    await expect(readFile(join(target, "file-0"))).rejects.toMatchObject({ code: "EIO" });
    await vi.waitFor(
      () => {
        expect(failures[0]).toMatchObject({ nid: 41, error: { code: "IO_ERROR" } });
      },
      { timeout: 20_000 },
    );
  });

  it("lets a process be killed that waits for data, and goes on", async () => {
    const { image } = await someFiles(blobs, { count: 2, bytes: 10 });
    using local = localBlobReader(blobs);
    const asked = Promise.withResolvers<void>();
    let stalled = 0;
    const reader: BlobReader = {
      async read(blobId, offset, bytes) {
        if (stalled === 0) {
          stalled += 1;
          asked.resolve();
          await new Promise(() => undefined);
        }
        await local.read(blobId, offset, bytes);
      },
    };
    await using _ = await mountFuse({ filesystem: memorySource(image), blobs: reader, target });
    const cat = spawn("cat", [join(target, "file-0")], { stdio: "ignore" });
    await asked.promise;
    cat.kill("SIGTERM");
    const [, signal] = (await once(cat, "exit")) as [number | null, string | null];
    expect(signal).toBe("SIGTERM");
    expect((await readFile(join(target, "file-1"))).length).toBe(10);
  });

  it("ends when it is unmounted with a file open", async () => {
    const { image } = await someFiles(blobs, { count: 1, bytes: 2_000_000 });
    const mount = await mountFuse({ filesystem: memorySource(image), blobs, target });
    const file = await open(join(target, "file-0"));
    try {
      await mount[Symbol.asyncDispose]();
      await mount.closed;
      expect(await isMounted(target)).toBe(false);
      await expect(file.read(Buffer.alloc(10), 0, 10, 1_900_000)).rejects.toThrow(
        /ENOTCONN|EIO|ECONNABORTED/,
      );
    } finally {
      await file.close();
    }
    await mount[Symbol.asyncDispose]();
  });

  it("ends when somebody else unmounts it", async () => {
    const { image } = await someFiles(blobs, { count: 1, bytes: 10 });
    const mount = await mountFuse({ filesystem: memorySource(image), blobs, target });
    await unmount(target);
    await expect(mount.closed).resolves.toBeUndefined();
    await mount[Symbol.asyncDispose]();
  });

  it("comes down, rather than let its users wait, when a thread breaks", async () => {
    const { image } = await someFiles(blobs, { count: 1, bytes: 10 });
    const filesystem = memorySource({ ...image, crashAt: "crash" });
    const mount = await mountFuse({ filesystem, blobs, target });
    await expect(stat(join(target, "crash"))).rejects.toThrow(/ECONNABORTED|ENOTCONN/);
    await expect(mount.closed).rejects.toMatchObject({ code: "INTERNAL_ERROR" });
    expect(await isMounted(target)).toBe(false);
    await mount[Symbol.asyncDispose]();
  });

  it("mounts nothing when the metadata cannot be opened", async () => {
    const source = { ...memorySource({ root: directory([]), chunkSize: 4_096 }), function: "none" };
    await expect(mountFuse({ filesystem: source, blobs, target })).rejects.toMatchObject({
      code: "CONFIG_ERROR",
    });
    expect(await isMounted(target)).toBe(false);
  });

  it("mounts nothing when there is no such directory", async () => {
    const { image } = await someFiles(blobs, { count: 1, bytes: 10 });
    const nowhere = join(target, "nowhere");
    await expect(
      mountFuse({ filesystem: memorySource(image), blobs, target: nowhere }),
    ).rejects.toMatchObject({ code: "IO_ERROR", details: { errno: "ENOENT" } });
  });

  it("leaves nothing when it is aborted on the way", async () => {
    const { image } = await someFiles(blobs, { count: 1, bytes: 10 });
    const controller = new AbortController();
    const mounting = mountFuse({
      filesystem: memorySource(image),
      blobs,
      target,
      signal: controller.signal,
    });
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(mounting).rejects.toBe(reason);
    expect(await isMounted(target)).toBe(false);
  });
});
