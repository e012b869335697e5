import { execFile, execFileSync } from "node:child_process";
import { chmod, mkdir, open, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { canMount, mountPlace, type MountPlace } from "../fuse/mount-place.ts";
import { differences } from "../tree/file-listing.ts";
import { listDirectory } from "../tree/list-directory.ts";
import { mountErofs } from "../../src/mount/mount-erofs.ts";
import { mountOverlay } from "../../src/mount/mount-overlay.ts";
import { isMounted, mountedAt, mountedBelow } from "../../src/mount/mounted-at.ts";
import { probeImage } from "../../src/mount/probe-image.ts";
import { probeMounts } from "../../src/mount/probe-mounts.ts";
import { unmount } from "../../src/mount/unmount.ts";

const run = promisify(execFile);

let place: MountPlace;
let target: string;
beforeEach(async () => {
  place = await mountPlace();
  target = await place.directory("mnt");
});
afterEach(() => place[Symbol.asyncDispose]());

interface ErofsImage {
  readonly source: string;
  readonly bootstrap: string;
  readonly devices: readonly string[];
}

/** Files, and an image of them with its data in a second file. */
async function erofsImage(): Promise<ErofsImage> {
  const source = await place.directory("source");
  execFileSync(
    "bash",
    [
      "-euc",
      `mkdir -p d/e; head -c 300000 /dev/urandom > d/random; printf small > d/small; ln d/small hard
      ln -s d/small sym; mknod null c 1 3; mkfifo pipe; chmod 4755 d/small; chown 7:8 d/e
      touch -d @1700000000.5 d/random; setfattr -n user.x -v y d/random; printf x > $'\\xfe'`,
    ],
    { cwd: source },
  );
  const [bootstrap, blob] = [join(place.path, "boot"), join(place.path, "blob")];
  await run("mkfs.erofs", ["--quiet", "--chunksize=4096", `--blobdev=${blob}`, bootstrap, source]);
  return { source, bootstrap, devices: [blob] };
}

/**
 * Loop devices over files of the test. One is taken back when nobody has its mount any more, and a container that starts
 * elsewhere at that moment has a copy of every mount until it has left its old root.
 */
async function loopDevices(): Promise<string[]> {
  const { stdout } = await run("losetup", ["--list", "--noheadings", "--output", "BACK-FILE"]);
  return stdout.split("\n").filter((file) => file.includes(place.path));
}

/** The smallest image with that many devices, all of them the same file. */
function manyDevices(count: number): Buffer {
  const { bootstrap } = probeImage();
  const metaBlock = 10;
  const image = Buffer.alloc(4_096 * (metaBlock + 1));
  bootstrap.copy(image, 0, 0, 1_408);
  bootstrap.copy(image, 4_096 * metaBlock, 4_096);
  image.writeUInt32LE(metaBlock, 1_024 + 40);
  image.writeUInt16LE(count, 1_024 + 86);
  for (let slot = 0; slot < count; slot += 1) {
    image.writeUInt32LE(1, 1_408 + 128 * slot + 64);
    image.writeUInt32LE(128 + slot, 1_408 + 128 * slot + 68);
  }
  return image;
}

describe.skipIf(!canMount)("mounts of the kernel (need root)", () => {
  it.each(["files", "loop"] as const)("shows an EROFS image from %s as it is", async (backing) => {
    const { source, bootstrap, devices } = await erofsImage();
    await mountErofs({ bootstrap, devices, target, backing });
    const listing = await listDirectory(target);
    expect(differences(listing, await listDirectory(source))).toEqual([]);
    expect(await mountedAt(target)).toMatchObject({ type: "erofs" });
    expect((await mountedAt(target))?.options).toEqual(expect.arrayContaining(["ro", "nodev"]));
    expect((await loopDevices()).length).toBe(backing === "loop" ? 2 : 0);
    await unmount(target);
    await expect.poll(loopDevices).toEqual([]);
  });

  it("takes all devices that an image can have, and paths with anything in them", async () => {
    const folder = await place.directory(`odd, name=${"x".repeat(200)}`);
    const odd = join(folder, `b:lob, ${"y".repeat(100)}`);
    const bootstrap = join(folder, "boot strap");
    await writeFile(odd, Buffer.alloc(4_096));
    await writeFile(bootstrap, manyDevices(254));
    const devices = Array.from({ length: 254 }, () => odd);
    await mountErofs({ bootstrap, devices, target });
    expect(await readdir(target)).toEqual([]);
    expect(await isMounted(target)).toBe(true);
    await unmount(target);
  });

  it("says what the kernel does not like, and mounts nothing", async () => {
    const { bootstrap, devices } = await erofsImage();
    const attempt = (image: string, data: readonly string[]): Promise<void> =>
      mountErofs({ bootstrap: image, devices: data, target });
    await expect(attempt(bootstrap, [...devices, ...devices])).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
      details: { field: "devices", expected: "1 or none", got: 2 },
    });
    await expect(attempt(devices[0] ?? "", [])).rejects.toMatchObject({
      code: "IMAGE_CHECKSUM_MISMATCH",
    });
    await expect(attempt(join(place.path, "none"), [])).rejects.toMatchObject({
      code: "IO_ERROR",
      cause: { code: "ENOENT" },
    });
    await expect(attempt(place.path, [])).rejects.toMatchObject({ code: "IO_ERROR" });
    await expect(attempt(bootstrap, [place.path])).rejects.toMatchObject({
      details: { errno: "EINVAL", step: "open" },
    });
    await expect(
      attempt(
        bootstrap,
        Array.from({ length: 256 }, () => "x"),
      ),
    ).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
    await expect(
      mountErofs({ bootstrap, devices: [join(place.path, "none")], target, backing: "loop" }),
    ).rejects.toMatchObject({ details: { errno: "ENOENT" } });
    expect(await isMounted(target)).toBe(false);
    await expect.poll(loopDevices).toEqual([]);
  });

  it("mounts nothing when it is aborted", async () => {
    const { bootstrap, devices } = await erofsImage();
    const controller = new AbortController();
    const reason = new Error("enough");
    const mounting = mountErofs({ bootstrap, devices, target, signal: controller.signal });
    controller.abort(reason);
    await expect(mounting).rejects.toBe(reason);
    expect(await isMounted(target)).toBe(false);
  });

  it("lays a writable directory over an image", async () => {
    const { bootstrap, devices } = await erofsImage();
    await mountErofs({ bootstrap, devices, target });
    const [upper, work, merged] = [
      await place.directory("up:per, one"),
      await place.directory(String.raw`work\er`),
      await place.directory("merged"),
    ];
    await mountOverlay({ lower: [target], upper, work, target: merged });
    await writeFile(join(merged, "d/small"), "changed");
    await rm(join(merged, "sym"));
    expect(await readFile(join(merged, "d/small"), "utf8")).toBe("changed");
    expect(await readFile(join(target, "d/small"), "utf8")).toBe("small");
    expect((await readdir(upper)).toSorted()).toEqual(["d", "sym"]);
    await unmount(merged);
    await unmount(target);
  });

  it("lays read-only directories over each other", async () => {
    const lower = [await place.directory("top"), await place.directory("bottom")];
    for (const [index, directory] of lower.entries()) {
      await writeFile(join(directory, "both"), `${index}`);
      await writeFile(join(directory, `only-${index}`), "");
    }
    await mountOverlay({ lower, target });
    expect(await readdir(target)).toEqual(["both", "only-0", "only-1"]);
    expect(await readFile(join(target, "both"), "utf8")).toBe("0");
    await expect(writeFile(join(target, "new"), "")).rejects.toMatchObject({ code: "EROFS" });
    await unmount(target);
  });

  it("refuses overlays that cannot be", async () => {
    const lower = [await place.directory("lower")];
    const upper = await place.directory("upper");
    await expect(mountOverlay({ lower, target })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
      details: { field: "lower" },
    });
    await expect(mountOverlay({ lower, upper, target })).rejects.toMatchObject({
      details: { field: "work" },
    });
    const long = Array.from({ length: 200 }, (_, number) => join(place.path, `lower-${number}`));
    await expect(mountOverlay({ lower: long, target })).rejects.toMatchObject({
      code: "LIMIT_EXCEEDED",
    });
  });

  it("unmounts what is in use, layers of mounts, and nothing at all", async () => {
    const { bootstrap, devices } = await erofsImage();
    await mountErofs({ bootstrap, devices, target });
    await mountErofs({ bootstrap, devices, target });
    const file = await open(join(target, "d/random"));
    try {
      await unmount(target);
      expect(await isMounted(target)).toBe(false);
      // Whoever has it open may finish.
      expect((await file.read(Buffer.alloc(10), 0, 10, 200_000)).bytesRead).toBe(10);
    } finally {
      await file.close();
    }
    await unmount(target);
    await unmount(join(place.path, "not/there"));
  });

  it("finds mounts through links, but never follows a link at the target", async () => {
    const { bootstrap, devices } = await erofsImage();
    await symlink(place.path, join(place.path, "link"));
    await symlink(target, join(place.path, "to-target"));
    await mountErofs({ bootstrap, devices, target: join(place.path, "link/mnt") });
    expect(await isMounted(target)).toBe(true);
    expect(await isMounted(join(place.path, "to-target"))).toBe(false);
    await expect(
      mountErofs({ bootstrap, devices, target: join(place.path, "to-target") }),
    ).rejects.toMatchObject({ details: { errno: "EINVAL" } });
    expect((await mountedBelow(place.path)).map((mount) => mount.target)).toEqual([target]);
    await unmount(join(place.path, "link/mnt"));
  });

  it("tries out what can be done here, and leaves nothing", async () => {
    const probes = await probeMounts({ directory: place.path });
    expect(probes.map(({ method }) => method)).toEqual([
      "erofs-files",
      "erofs-loop",
      "fuse",
      "nydusd",
      "overlay",
      "idmap",
      "extract",
    ]);
    for (const probe of probes) {
      if (probe.method === "nydusd") continue;
      expect(probe).toMatchObject({ available: true });
    }
    expect(await readdir(place.path)).toEqual(["mnt"]);
    const unshifted = await probeMounts({ directory: place.path, triesShifts: false });
    expect(unshifted).toEqual(
      probes
        .filter(({ method }) => method !== "idmap")
        .map(({ method, available, reason, fix }) => ({ method, available, reason, fix })),
    );
    await expect.poll(loopDevices).toEqual([]);
  });

  it("says why something cannot be done, and what would help", async () => {
    await mkdir(join(place.path, "bin"));
    await chmod(place.path, 0o755);
    const path = process.env["PATH"];
    process.env["PATH"] = join(place.path, "bin");
    try {
      const probes = await probeMounts({ directory: place.path });
      const nydusd = probes.find(({ method }) => method === "nydusd");
      expect(nydusd).toMatchObject({ available: false, fix: expect.stringContaining("Nydus") });
    } finally {
      process.env["PATH"] = path;
    }
  });
});
