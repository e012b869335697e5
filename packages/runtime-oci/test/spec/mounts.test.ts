import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Mount } from "@longshore/core";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { buildContainerSpec } from "../../src/spec/build-container-spec.ts";
import { parseMountInfo } from "../../src/spec/mount-info.ts";
import { sortMounts } from "../../src/spec/mount-order.ts";
import { holderOf } from "../../src/spec/user-mounts.ts";
import { refusal } from "./refusal.ts";
import { plainHost, specInput, type SpecOptions } from "./spec-input.ts";
import { tempDir, type TempDir } from "./temp-dir.ts";

let place: TempDir;
let root: string;
let data: string;
beforeEach(async () => {
  place = await tempDir();
  root = join(place.path, "rootfs");
  data = join(place.path, "data");
  await mkdir(join(root, "etc"), { recursive: true });
  await mkdir(data);
});
afterEach(() => place[Symbol.asyncDispose]());

const build = async (mounts: readonly Mount[], options: SpecOptions = {}) =>
  (
    await buildContainerSpec(
      specInput(root, {
        ...options,
        config: {
          mounts,
          linux: { securityContext: options.security ?? {} },
          ...options.config,
        },
      }),
    )
  ).mounts;
const destinations = async (mounts: readonly Mount[], options: SpecOptions = {}) =>
  (await build(mounts, options)).map(({ destination }) => destination);
const at = (containerPath: string): Mount => ({ hostPath: data, containerPath });

describe("mounts of a container", () => {
  it("are the usual ones when nothing is said", async () => {
    expect(await destinations([])).toEqual([
      "/proc",
      "/dev",
      "/sys",
      "/dev/pts",
      "/dev/shm",
      "/dev/mqueue",
      "/sys/fs/cgroup",
    ]);
  });

  it("take the place of the usual ones, with what is below those", async () => {
    expect(await destinations([at("/dev")])).toEqual(["/proc", "/sys", "/dev", "/sys/fs/cgroup"]);
    expect(await destinations([at("/dev/shm")], { input: { files: { shm: data } } })).toEqual([
      "/proc",
      "/dev",
      "/sys",
      "/dev/pts",
      "/dev/mqueue",
      "/dev/shm",
      "/sys/fs/cgroup",
    ]);
    const hosts = await build([at("/etc/hosts")], { input: { files: { hosts: "/x" } } });
    expect(hosts.filter(({ destination }) => destination === "/etc/hosts")).toMatchObject([
      { source: data },
    ]);
  });

  it("name what a link of the host leads to", async () => {
    await symlink(data, join(place.path, "link"));
    const mounts = await build([{ hostPath: join(place.path, "link"), containerPath: "/x//y/" }]);
    expect(mounts).toContainEqual({
      destination: "/x/y",
      type: "bind",
      source: data,
      options: ["rbind", "rw", "rprivate"],
    });
  });

  it.each([
    "relative",
    "/a/../b",
    "/..",
    "/a\0b",
    "/",
    "/proc",
    "/proc/sys",
    "//proc/",
    `/${"a".repeat(5_000)}`,
  ])("are refused at %j", async (path) => {
    expect(await refusal(() => build([at(path)]))).toBe("VALIDATION_ERROR mounts.containerPath");
  });

  it("are refused where a link of the image leads to the kernel's places or the root", async () => {
    await symlink("/proc/self", join(root, "self"));
    await symlink("../../..", join(root, "etc/top"));
    await mkdir(join(root, "dev"));
    await symlink("/proc", join(root, "dev/x"));
    await symlink("/dev", join(root, "devices"));
    for (const path of ["/devices/null", "/self/fd", "/etc/top", "/etc/top/proc/1", "/dev/x/1"]) {
      expect(await refusal(() => build([at(path)]))).toBe("VALIDATION_ERROR mounts.containerPath");
    }
  });

  it("are refused twice at one place, also over a link", async () => {
    await symlink("etc", join(root, "same"));
    expect(await refusal(() => build([at("/etc/x"), at("/same/x")]))).toBe(
      "VALIDATION_ERROR mounts.containerPath",
    );
  });

  it.each(["", "relative", "/does/not/exist", "/tmp\0x"])(
    "are refused without a host path: %j",
    async (hostPath) => {
      expect(await refusal(() => build([{ hostPath, containerPath: "/x" }]))).toBe(
        "VALIDATION_ERROR mounts.hostPath",
      );
    },
  );

  it.each([
    ["VALIDATION_ERROR mounts.mountOptions", { mountOptions: ["suid"] }],
    ["VALIDATION_ERROR mounts.mountOptions", { mountOptions: ["noexec,suid"] }],
    ["VALIDATION_ERROR mounts.recursiveReadOnly", { recursiveReadOnly: true }],
    [
      "VALIDATION_ERROR mounts.recursiveReadOnly",
      { recursiveReadOnly: true, readonly: true, propagation: "hostToContainer" },
    ],
    ["VALIDATION_ERROR mounts.propagation", { propagation: "bidirectional" }],
    ["RUNTIME_NOT_SUPPORTED mounts.image", { hostPath: "", image: { image: "x" }, readonly: true }],
    [
      "VALIDATION_ERROR mounts.gidMappings",
      { uidMappings: [{ containerId: 0, hostId: 1, length: 1 }] },
    ],
  ] as const)("are refused when they contradict themselves: %s", async (expected, mount) => {
    expect(await refusal(() => build([{ ...at("/x"), ...mount }]))).toBe(expected);
  });

  it("are refused when the machine or the runtime cannot make them", async () => {
    const mapping = [{ containerId: 0, hostId: 1, length: 1 }];
    const host = { host: plainHost };
    expect(
      await refusal(() => build([{ ...at("/x"), readonly: true, recursiveReadOnly: true }], host)),
    ).toBe("RUNTIME_NOT_SUPPORTED mounts.recursiveReadOnly");
    expect(
      await refusal(() =>
        build([{ ...at("/x"), uidMappings: mapping, gidMappings: mapping }], host),
      ),
    ).toBe("RUNTIME_NOT_SUPPORTED mounts.uidMappings");
    expect(
      await build([{ ...at("/x"), uidMappings: mapping, gidMappings: mapping }]),
    ).toContainEqual(
      expect.objectContaining({
        destination: "/x",
        uidMappings: [{ containerID: 0, hostID: 1, size: 1 }],
      }),
    );
  });

  it("keep to what the image makes of links for the sandbox's files", async () => {
    await symlink("/proc/sys/kernel/hostname", join(root, "etc/hostname"));
    await symlink("/dev/null", join(root, "etc/hosts"));
    expect(await refusal(() => build([], { input: { files: { hosts: "/x" } } }))).toBe(
      "VALIDATION_ERROR rootfs",
    );
    expect(await refusal(() => build([], { input: { files: { hostname: "/x" } } }))).toBe(
      "VALIDATION_ERROR rootfs",
    );
  });
});

describe("the order of mounts", () => {
  const path = fc
    .array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 5 })
    .map((names) => ({ destination: `/${names.join("/")}` }));

  it("has every directory before what lies in it, and else stays", () => {
    fc.assert(
      fc.property(fc.array(path), (mounts) => {
        const sorted = sortMounts(mounts);
        expect(sorted).toHaveLength(mounts.length);
        expect(new Set(sorted)).toEqual(new Set(mounts));
        for (const [index, mount] of sorted.entries()) {
          for (const later of sorted.slice(index + 1)) {
            expect(mount.destination.startsWith(`${later.destination}/`)).toBe(false);
            if (later.destination === mount.destination) {
              expect(mounts.indexOf(later)).toBeGreaterThanOrEqual(mounts.indexOf(mount));
            }
          }
        }
      }),
    );
  });
});

describe("mounts of the host", () => {
  const text = [
    "1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw",
    String.raw`2 1 0:5 / /mnt/a\040b rw,nosuid master:3 propagate_from:2 - tmpfs none rw,size=1k`,
    "3 1 0:6 / /mnt rw - tmpfs none rw",
    "4 1 0:7 / /mnt ro shared:9 master:2 - tmpfs none rw",
    "nonsense",
    "",
  ].join("\n");

  it("are read with their propagation", () => {
    const mounts = parseMountInfo(text);
    expect(mounts.map(({ mountPoint }) => mountPoint)).toEqual(["/", "/mnt/a b", "/mnt", "/mnt"]);
    expect(mounts[1]).toMatchObject({ isShared: false, isSlave: true, filesystem: "tmpfs" });
  });

  it("hold the paths below them, the last one first", () => {
    const mounts = parseMountInfo(text);
    expect(holderOf("/etc", mounts)).toMatchObject({ mountPoint: "/" });
    expect(holderOf("/mnt/x", mounts)).toMatchObject({ isShared: true, isSlave: true });
    expect(holderOf("/mnt/a b/c", mounts)).toMatchObject({ mountPoint: "/mnt/a b" });
    expect(holderOf("/mntx", mounts)).toMatchObject({ mountPoint: "/" });
  });
});
