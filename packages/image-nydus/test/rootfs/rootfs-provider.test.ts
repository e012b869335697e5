import { existsSync } from "node:fs";
import { lstat, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PreparedRootfs, Rootfs } from "@longshore/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mountErofs, mountOverlay, unmount, type NydusImageStore } from "../../src/index.ts";
import { layerOf, noise, writeOciImage } from "../store/oci-image.ts";
import { namesIn, pull, storePlace, type StorePlace } from "../store/store-place.ts";
import { endMark, paxEntry, tarEntry } from "../tar/tar-blocks.ts";
import { listDirectory } from "../tree/list-directory.ts";

let place: StorePlace;
let store: NydusImageStore;
const big = noise("big", 1_500_000);

beforeEach(async () => {
  place = await storePlace();
  await writeOciImage(place.layout, "one", {
    layers: [layerOf({ "etc/": "", "etc/motd": "hello", big })],
    config: { config: { Cmd: ["/bin/sh"], User: "7", WorkingDir: "/etc" } },
  });
  await writeOciImage(place.layout, "two", { layers: [layerOf({ two: "2" })] });
  store = await place.open();
  await pull(store, place.source("one"));
  await pull(store, place.source("two"));
});

afterEach(async () => {
  await store[Symbol.asyncDispose]();
  const left = await place.mounts();
  await place[Symbol.asyncDispose]();
  if (left.length > 0) throw new Error(`still mounted: ${left.join(", ")}`);
});

const one = "localhost/app:one";

function pathOf({ rootfs }: PreparedRootfs): string {
  if (rootfs.kind !== "directory") throw new Error(`expected a directory, got ${rootfs.kind}`);
  return rootfs.path;
}

function overlayOf({ rootfs }: PreparedRootfs): Extract<Rootfs, { kind: "overlay" }> {
  if (rootfs.kind !== "overlay") throw new Error(`expected an overlay, got ${rootfs.kind}`);
  return rootfs;
}

/** Mounts an overlay as a driver does. */
async function mounted(prepared: PreparedRootfs): Promise<string> {
  const { lower, upper } = overlayOf(prepared);
  const target = join(place.path, "merged");
  await mkdir(target, { recursive: true });
  await mountOverlay({ lower, upper: upper?.upperDir, work: upper?.workDir, target });
  return target;
}

const directory = { accept: ["directory"] } as const;

describe("a root filesystem", () => {
  it("is an overlay over the mounted image, with the image's configuration", async () => {
    const prepared = await store.prepareRootfs(one, "owner");
    expect(prepared.imageId).toBe((await store.listImages({ image: { image: one } }))[0]?.id);
    expect(prepared.config).toMatchObject({ cmd: ["/bin/sh"], user: "7", workingDir: "/etc" });
    const { lower, upper } = overlayOf(prepared);
    expect(await readFile(join(lower[0] ?? "", "big"))).toEqual(big);
    expect(await readdir(upper?.upperDir ?? "")).toEqual([]);
    expect(await readdir(upper?.workDir ?? "")).toEqual([]);
    await expect(writeFile(join(lower[0] ?? "", "new"), "")).rejects.toMatchObject({
      code: "EROFS",
    });
    await store.releaseRootfs("owner");
    expect(existsSync(lower[0] ?? "")).toBe(false);
    expect(existsSync(upper?.upperDir ?? "")).toBe(false);
  });

  it("shares its read-only part with others of its image, and nothing that is written", async () => {
    const [a, b] = [
      await store.prepareRootfs(one, "a", directory),
      await store.prepareRootfs(one, "b", directory),
    ];
    const overlays = [await store.prepareRootfs(one, "c"), await store.prepareRootfs(one, "d")];
    const [c, d] = overlays.map(overlayOf);
    expect(c?.lower).toEqual(d?.lower);
    expect(c?.upper?.upperDir).not.toBe(d?.upper?.upperDir);
    await writeFile(join(pathOf(a), "etc/motd"), "mine");
    expect(await readFile(join(pathOf(b), "etc/motd"), "utf8")).toBe("hello");
    await rm(join(pathOf(b), "etc"), { recursive: true });
    expect(await readdir(join(pathOf(a), "etc"))).toEqual(["motd"]);
    await b[Symbol.asyncDispose]();
    expect(await readFile(join(pathOf(a), "etc/motd"), "utf8")).toBe("mine");
    expect((await store.verify()).problems).toEqual([]);
  });

  it("is the same again for the same owner, with what was written", async () => {
    const first = await store.prepareRootfs(one, "owner", directory);
    await writeFile(join(pathOf(first), "mine"), "written");
    const again = await store.prepareRootfs(one, "owner", directory);
    expect(again.rootfs).toEqual(first.rootfs);
    expect(await readFile(join(pathOf(again), "mine"), "utf8")).toBe("written");
    const byId = await store.prepareRootfs(first.imageId, "owner");
    expect(byId.rootfs).toEqual(first.rootfs);
    expect(await store.listOwners()).toEqual(["owner"]);
  });

  it("is not given for another image to an owner that has one", async () => {
    await store.prepareRootfs(one, "owner");
    await expect(store.prepareRootfs("localhost/app:two", "owner")).rejects.toMatchObject({
      code: "STATE_CONFLICT",
    });
    await store.releaseRootfs("owner");
    const prepared = await store.prepareRootfs("localhost/app:two", "owner", directory);
    expect(await readdir(pathOf(prepared))).toEqual(["two"]);
  });

  it("that is read-only has no room for changes", async () => {
    const options = { readonly: true };
    const overlay = await store.prepareRootfs(one, "overlay", options);
    expect(overlayOf(overlay)).not.toHaveProperty("upper");
    const prepared = await store.prepareRootfs(one, "directory", { ...options, ...directory });
    expect(prepared.rootfs).toMatchObject({ kind: "directory", readonly: true });
    expect(await readFile(join(pathOf(prepared), "etc/motd"), "utf8")).toBe("hello");
    await expect(writeFile(join(pathOf(prepared), "new"), "")).rejects.toMatchObject({
      code: "EROFS",
    });
  });

  it("can be block devices, which the kernel mounts", async () => {
    const { rootfs } = await store.prepareRootfs(one, "vm", { accept: ["block", "directory"] });
    if (rootfs.kind !== "block") throw new Error(`expected block devices, got ${rootfs.kind}`);
    expect(rootfs.devices).toMatchObject([{ filesystem: "erofs" }]);
    const target = join(place.path, "mnt");
    await mkdir(target);
    for (const { path, dataDevices = [] } of rootfs.devices) {
      await mountErofs({ bootstrap: path, devices: dataDevices, target, backing: "loop" });
    }
    expect(await readFile(join(target, "big"))).toEqual(big);
    expect(await place.mounts()).toEqual([target]);
    await unmount(target);
  });

  it("is of the first kind that can be made here", async () => {
    const prepared = await store.prepareRootfs(one, "owner", { accept: ["directory", "overlay"] });
    expect(prepared.rootfs.kind).toBe("directory");
    await expect(store.prepareRootfs(one, "nobody", { accept: [] })).rejects.toMatchObject({
      code: "RUNTIME_NOT_SUPPORTED",
    });
    expect(await store.listOwners()).toEqual(["owner"]);
  });

  it("has a root with the attributes of the image's", async () => {
    const root = Buffer.concat([
      paxEntry([
        ["mtime", "1600000000.123456789"],
        ["SCHILY.xattr.user.note", "of the root"],
      ]),
      tarEntry({ name: "./", type: "5", mode: 0o1751, uid: 70_000, gid: 8 }),
    ]);
    const layers = [{ tar: Buffer.concat([root, tarEntry({ name: "a" }, "x"), endMark]) }];
    await writeOciImage(place.layout, "root", { layers });
    await pull(store, place.source("root"));
    const expected = {
      mode: "1751",
      uid: 70_000,
      gid: 8,
      mtime: "1600000000.123456789",
      xattrs: { "user.note": Buffer.from("of the root").toString("hex") },
    };
    const own = await store.prepareRootfs("localhost/app:root", "own", directory);
    const driver = await store.prepareRootfs("localhost/app:root", "driver");
    const ignoreXattrs = /^trusted\.overlay\./;
    const merged = await mounted(driver);
    for (const path of [pathOf(own), merged, overlayOf(driver).lower[0] ?? ""]) {
      const listing = await listDirectory(path, { ignoreXattrs });
      expect(listing.get(".")).toMatchObject(expected);
    }
    await unmount(merged);
  });

  it("stays in a directory that is told by no name of the owner's choice", async () => {
    const owner = "../../etc/\0 passwd\n".repeat(30);
    const prepared = await store.prepareRootfs(one, owner, directory);
    expect(pathOf(prepared).startsWith(join(place.directory, "mounts/owners"))).toBe(true);
    expect(await store.listOwners()).toEqual([owner]);
    await prepared[Symbol.asyncDispose]();
    expect(await store.listOwners()).toEqual([]);
  });
});

describe("releasing a root filesystem", () => {
  it("removes it with what was written, and is no error for those who have none", async () => {
    const prepared = await store.prepareRootfs(one, "owner", directory);
    await writeFile(join(pathOf(prepared), "mine"), "written");
    await store.releaseRootfs("owner");
    await store.releaseRootfs("owner");
    await store.releaseRootfs("nobody");
    await prepared[Symbol.asyncDispose]();
    expect(await store.listOwners()).toEqual([]);
    expect(await namesIn(place.directory, "mounts/owners")).toEqual([]);
    expect(await place.mounts()).toEqual([]);
    const fresh = await store.prepareRootfs(one, "owner", directory);
    expect(await readdir(pathOf(fresh))).toEqual(["big", "etc"]);
  });

  it("never deletes through what somebody has mounted in there", async () => {
    const prepared = await store.prepareRootfs(one, "owner");
    const { upper } = overlayOf(prepared);
    const precious = join(place.path, "precious");
    await mkdir(join(precious, "upper"), { recursive: true });
    await mkdir(join(precious, "work"));
    await writeFile(join(precious, "upper/file"), "keep me");
    const target = join(upper?.upperDir ?? "", "mnt");
    await mkdir(target);
    await mountOverlay({
      lower: [place.layout],
      upper: join(precious, "upper"),
      work: join(precious, "work"),
      target,
    });
    await store.releaseRootfs("owner");
    expect(await readFile(join(precious, "upper/file"), "utf8")).toBe("keep me");
    expect(await store.listOwners()).toEqual([]);
  });
});

describe("an image that no root filesystem needs any more", () => {
  const lowerOf = async (of: NydusImageStore, owner: string): Promise<string> =>
    overlayOf(await of.prepareRootfs(one, owner)).lower[0] ?? "";

  it("stays mounted for the next, until the store is closed", async () => {
    {
      await using patient = await place.open({ idleMountMs: 60_000 });
      const lower = await lowerOf(patient, "a");
      await patient.releaseRootfs("a");
      expect(await readFile(join(lower, "etc/motd"), "utf8")).toBe("hello");
      expect(await lowerOf(patient, "b")).toBe(lower);
      await patient.releaseRootfs("b");
      expect(await place.mounts()).toEqual([lower]);
    }
    expect(await place.mounts()).toEqual([]);
  });

  it("is unmounted when its time is over, and not while somebody needs it again", async () => {
    await using patient = await place.open({ idleMountMs: 200 });
    const lower = await lowerOf(patient, "a");
    await patient.releaseRootfs("a");
    expect(await lowerOf(patient, "b")).toBe(lower);
    const other = overlayOf(await patient.prepareRootfs("localhost/app:two", "c")).lower[0] ?? "";
    await patient.releaseRootfs("c");
    // The other one was released later, so the first one's time would be over by then.
    await expect.poll(() => existsSync(other)).toBe(false);
    expect(await readFile(join(lower, "etc/motd"), "utf8")).toBe("hello");
    await patient.releaseRootfs("b");
    await expect.poll(() => place.mounts()).toEqual([]);
  });

  it("is unmounted when images are cleaned up", async () => {
    await using patient = await place.open({ idleMountMs: 60_000 });
    await lowerOf(patient, "a");
    await patient.releaseRootfs("a");
    await patient.removeImage({ image: one });
    expect(await place.mounts()).toEqual([]);
    await expect(patient.prepareRootfs(one, "b")).rejects.toMatchObject({
      code: "IMAGE_NOT_FOUND",
    });
  });
});

describe("a root filesystem that cannot be made", () => {
  it("leaves nothing behind", async () => {
    await expect(store.prepareRootfs("localhost/app:none", "owner")).rejects.toMatchObject({
      code: "IMAGE_NOT_FOUND",
    });
    const reason = new Error("changed my mind");
    const signal = AbortSignal.abort(reason);
    await expect(store.prepareRootfs(one, "owner", { signal })).rejects.toBe(reason);
    const { filesystem } = await store.inspect(one);
    const blob = join(place.directory, "blobs/sha256", filesystem.blobs[0]?.id ?? "");
    await rm(blob);
    await expect(store.prepareRootfs(one, "owner", directory)).rejects.toMatchObject({
      code: "IO_ERROR",
    });
    expect(await store.listOwners()).toEqual([]);
    expect(await namesIn(place.directory, "mounts/owners")).toEqual([]);
    expect(await place.mounts()).toEqual([]);
  });

  it("keeps nothing of one that was aborted on the way", async () => {
    const controller = new AbortController();
    const prepared = store.prepareRootfs(one, "owner", { ...directory, signal: controller.signal });
    const outcome = prepared.catch((error: unknown) => error);
    await expect.poll(() => store.listOwners(), { interval: 1 }).toEqual(["owner"]);
    controller.abort(new Error("changed my mind"));
    expect(await outcome).toEqual(new Error("changed my mind"));
    expect(await store.listOwners()).toEqual([]);
    expect(await place.mounts()).toEqual([]);
  });

  it("because the store is being closed leaves no mount", async () => {
    const outcomes = ["a", "b", "c"].map((owner) =>
      store.prepareRootfs(one, owner, directory).catch((error: unknown) => error),
    );
    await expect.poll(() => store.listOwners(), { interval: 1 }).not.toEqual([]);
    await store[Symbol.asyncDispose]();
    expect(await place.mounts()).toEqual([]);
    for (const outcome of await Promise.all(outcomes)) {
      if (outcome instanceof Error) expect(outcome).toMatchObject({ code: "IO_ERROR" });
    }
  });
});

describe("a store that may not mount", () => {
  it("copies the files, once for each owner", async () => {
    await store[Symbol.asyncDispose]();
    store = await place.open({ mountMethods: [] });
    await expect(store.prepareRootfs(one, "owner", { accept: ["overlay"] })).rejects.toMatchObject({
      code: "RUNTIME_NOT_SUPPORTED",
    });
    const prepared = await store.prepareRootfs(one, "owner");
    expect(prepared.rootfs).toMatchObject({ kind: "directory", readonly: false });
    const path = pathOf(prepared);
    expect(await readFile(join(path, "big"))).toEqual(big);
    expect((await lstat(join(path, "etc"))).mode & 0o7777).toBe(0o755);
    expect(await place.mounts()).toEqual([]);
    await writeFile(join(path, "etc/motd"), "mine");
    await store[Symbol.asyncDispose]();
    store = await place.open({ mountMethods: [] });
    const again = await store.prepareRootfs(one, "owner");
    expect(again.rootfs).toEqual(prepared.rootfs);
    expect(await readFile(join(path, "etc/motd"), "utf8")).toBe("mine");
    await store.releaseRootfs("owner");
    expect(existsSync(path)).toBe(false);
  });
});

describe("an image that is mounted where somebody wants it", () => {
  it.each(["erofs-files", "erofs-loop", "fuse"] as const)("is read-only, by %s", async (method) => {
    await store[Symbol.asyncDispose]();
    store = await place.open({ mountMethods: [method] });
    const target = join(place.path, "mnt");
    await mkdir(target);
    const mount = await store.mount(one, target);
    expect(mount).toMatchObject({ target, method });
    expect(await readFile(join(target, "big"))).toEqual(big);
    await expect(writeFile(join(target, "new"), "")).rejects.toMatchObject({ code: "EROFS" });
    await store.removeImage({ image: one });
    // Who has it mounted reads on.
    expect(await readFile(join(target, "etc/motd"), "utf8")).toBe("hello");
    expect(await readFile(join(target, "big"))).toEqual(big);
    await mount[Symbol.asyncDispose]();
    await mount[Symbol.asyncDispose]();
    expect(await readdir(target)).toEqual([]);
  });
});
