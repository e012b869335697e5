import { chmod, lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Rootfs, RootfsIdMappings } from "@longshore/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mountOverlay, unmount, type NydusImageStore } from "../../src/index.ts";
import { writeOciImage } from "../store/oci-image.ts";
import { startStoreProcess } from "../store/start-store-process.ts";
import { namesIn, pull, storePlace, type StorePlace } from "../store/store-place.ts";
import { endMark, paxEntry, tarEntry } from "../tar/tar-blocks.ts";
import { listDirectory } from "../tree/list-directory.ts";
import { inUserNamespace } from "./in-user-namespace.ts";

let place: StorePlace;
let store: NydusImageStore;
const image = "localhost/app:one";

/** Version 2 of cap_net_raw=ep, see capabilities(7) */
const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
/** user::rw-, user:7:rwx, group::r--, group:8:r-x, mask::rwx, other::--- */
const acl = Buffer.from(
  "0200000001000600ffffffff020007000700000004000400ffffffff080005000800000010000700ffffffff20000000ffffffff",
  "hex",
);

beforeEach(async () => {
  place = await storePlace();
  // Roots of other namespaces pass through.
  await chmod(place.path, 0o711);
  const entries = [
    tarEntry({ name: "./", type: "5", mode: 0o755 }),
    tarEntry({ name: "etc/", type: "5", mode: 0o755 }),
    tarEntry({ name: "etc/secret", mode: 0o600 }, "of root"),
    tarEntry({ name: "home/", type: "5", mode: 0o700, uid: 1000, gid: 100 }),
    tarEntry({ name: "home/mine", mode: 0o600, uid: 1000, gid: 100 }, "of user 1000"),
    paxEntry([["SCHILY.xattr.security.capability", capability]]),
    tarEntry({ name: "ping", mode: 0o755 }, "ping"),
    paxEntry([["SCHILY.xattr.system.posix_acl_access", acl]]),
    tarEntry({ name: "shared", mode: 0o670 }, "shared"),
  ];
  await writeOciImage(place.layout, "one", {
    layers: [{ tar: Buffer.concat([...entries, endMark]) }],
  });
  const far = tarEntry({ name: "far", mode: 0o644, uid: 200_000, gid: 200_000 }, "of nobody");
  await writeOciImage(place.layout, "far", { layers: [{ tar: Buffer.concat([far, endMark]) }] });
  store = await place.open();
  await pull(store, place.source("one"));
  await pull(store, place.source("far"));
});

afterEach(async () => {
  await unmount(join(place.path, "merged"));
  await store[Symbol.asyncDispose]();
  const left = await place.mounts();
  await place[Symbol.asyncDispose]();
  if (left.length > 0) throw new Error(`still mounted: ${left.join(", ")}`);
});

function mappingsAt(hostId: number, length = 65_536): RootfsIdMappings {
  const mapping = { containerId: 0, hostId, length };
  return { uids: [mapping], gids: [mapping] };
}

const first = mappingsAt(100_000);
const second = mappingsAt(300_000);

/** Where a root filesystem can be looked at; overlays are mounted as a driver does. */
async function pathOf({ rootfs }: { readonly rootfs: Rootfs }): Promise<string> {
  if (rootfs.kind === "directory") return rootfs.path;
  if (rootfs.kind !== "overlay") throw new Error(`nothing to look at: ${rootfs.kind}`);
  const target = join(place.path, "merged");
  await mkdir(target, { recursive: true });
  const { lower, upper } = rootfs;
  await mountOverlay({ lower, upper: upper?.upperDir, work: upper?.workDir, target });
  return target;
}

async function reopen(options: Parameters<StorePlace["open"]>[0]): Promise<void> {
  await store[Symbol.asyncDispose]();
  store = await place.open(options);
}

async function ownerOf(...path: readonly string[]): Promise<string> {
  const { uid, gid } = await lstat(join(...path));
  return `${uid}:${gid}`;
}

const look =
  "stat -c '%n %u:%g %a' . etc etc/secret home home/mine; cat etc/secret; echo; cat home/mine";
const seen = [
  ". 0:0 755",
  "etc 0:0 755",
  "etc/secret 0:0 600",
  "home 1000:100 700",
  "home/mine 1000:100 600",
  "of root",
  "of user 1000",
].join("\n");

const attributes = [
  "import os",
  "print(os.getxattr('ping', 'security.capability').hex())",
  "print(os.getxattr('shared', 'system.posix_acl_access').hex())",
].join("\n");
const readAttributes = `python3 -c "${attributes}"`;

const change = [
  "echo changed > etc/secret",
  "mkdir -m 750 new",
  "echo 1 > new/file",
  "chown 1000:100 new/file",
  "rm home/mine",
  "stat -c '%n %u:%g' etc/secret new new/file",
].join("; ");

const directory = ["directory"] as const;

describe.each(["erofs-files", "fuse", "copies"] as const)(
  "a root filesystem for a user namespace (%s)",
  (method) => {
    beforeEach(() => reopen({ mountMethods: method === "copies" ? [] : [method] }));
    const kinds = method === "copies" ? directory : (["overlay", "directory"] as const);

    it.each(kinds)(
      "belongs to its ids there as to those of the image, and takes changes (%s)",
      async (kind) => {
        const options = { idMappings: first, accept: [kind] };
        const prepared = await store.prepareRootfs(image, "owner", options);
        const path = await pathOf(prepared);
        expect(await inUserNamespace(first, path, look)).toBe(seen);
        expect(await inUserNamespace(first, path, change)).toBe(
          "etc/secret 0:0\nnew 0:0\nnew/file 1000:100",
        );
        expect(await ownerOf(path, "etc/secret")).toBe("100000:100000");
        expect(await ownerOf(path, "new/file")).toBe("101000:100100");
        expect(await namesIn(path, "home")).toEqual([]);
        // Another namespace has no say in it.
        await expect(inUserNamespace(second, path, "cat etc/secret")).rejects.toThrow("denied");
        if (prepared.rootfs.kind !== "overlay") return;
        const upper = prepared.rootfs.upper?.upperDir ?? "";
        expect(await ownerOf(upper)).toBe("100000:100000");
        expect(await ownerOf(upper, "etc/secret")).toBe("100000:100000");
        expect(await ownerOf(upper, "new/file")).toBe("101000:100100");
      },
    );

    it("has capabilities and access lists of its namespace, also after changes", async () => {
      const options = { idMappings: first, accept: directory };
      const path = await pathOf(await store.prepareRootfs(image, "owner", options));
      const expected = [capability.toString("hex"), acl.toString("hex")].join("\n");
      expect(await inUserNamespace(first, path, readAttributes)).toBe(expected);
      await inUserNamespace(first, path, "chmod 711 ping; touch shared");
      expect(await inUserNamespace(first, path, readAttributes)).toBe(expected);
      // Outside they count for nobody but that namespace's root: version 3 of the attribute names it.
      const outside = (await listDirectory(path)).get("ping")?.xattrs["security.capability"];
      expect(outside?.slice(0, 8)).toBe("01000003");
      expect(outside?.slice(40)).toBe("a0860100");
    });

    it("is another one for each mapping of the same image, at the same time", async () => {
      const options = { accept: directory };
      const roots = [
        await store.prepareRootfs(image, "first", { ...options, idMappings: first }),
        await store.prepareRootfs(image, "second", { ...options, idMappings: second }),
        await store.prepareRootfs(image, "third", { ...options, idMappings: first }),
        await store.prepareRootfs(image, "plain", options),
      ];
      const owners = await Promise.all(
        roots.map(async (root) => ownerOf(await pathOf(root), "home/mine")),
      );
      expect(owners).toEqual(["101000:100100", "301000:300100", "101000:100100", "1000:100"]);
      await roots[0]?.[Symbol.asyncDispose]();
      await roots[3]?.[Symbol.asyncDispose]();
      for (const [root, mappings] of [
        [roots[1], second],
        [roots[2], first],
      ] as const) {
        if (root === undefined) throw new Error("no root filesystem");
        expect(await inUserNamespace(mappings, await pathOf(root), look)).toBe(seen);
      }
    });

    it("stays the same for its owner, and is no other's", async () => {
      const options = { accept: directory, idMappings: first };
      const path = await pathOf(await store.prepareRootfs(image, "owner", options));
      await inUserNamespace(first, path, change);
      await reopen({ mountMethods: method === "copies" ? [] : [method] });
      for (const idMappings of [undefined, second]) {
        await expect(
          store.prepareRootfs(image, "owner", { ...options, idMappings }),
        ).rejects.toMatchObject({ code: "STATE_CONFLICT" });
      }
      const again = await store.prepareRootfs(image, "owner", options);
      expect(await pathOf(again)).toBe(path);
      expect(await inUserNamespace(first, path, "cat etc/secret new/file")).toBe("changed\n1");
      expect(await ownerOf(path, "etc")).toBe("100000:100000");
    });

    it("is found again after a crash, with what was written", async () => {
      await store[Symbol.asyncDispose]();
      const options = { accept: directory, idMappings: first };
      const step = { do: "prepare", image, owner: "owner", options } as const;
      const mountMethods = method === "copies" ? [] : [method];
      await using dead = startStoreProcess({
        directory: place.directory,
        options: { mountMethods },
        steps: [step, { do: "wait" }],
      });
      const path = await pathOf({ rootfs: (await dead.result(0)) as Rootfs });
      expect(await dead.result(1)).toBe("waiting");
      await inUserNamespace(first, path, change);
      await dead.kill();
      store = await place.open({ mountMethods });
      expect(await place.mounts()).toEqual([]);
      expect(await namesIn(place.directory, "mounts/images")).toEqual([]);
      expect(await namesIn(place.directory, "mounts/mounts")).toEqual([]);
      const again = await store.prepareRootfs(image, "owner", options);
      expect(await pathOf(again)).toBe(path);
      expect(await inUserNamespace(first, path, "cat etc/secret new/file")).toBe("changed\n1");
    });

    it("shows what is not mapped as nobody's, or is refused where it cannot", async () => {
      const options = { accept: directory, idMappings: first };
      const prepared = store.prepareRootfs("localhost/app:far", "owner", options);
      if (method === "copies") {
        await expect(prepared).rejects.toMatchObject({
          code: "VALIDATION_ERROR",
          details: { field: "idMappings", path: "/far" },
        });
        expect(await store.listOwners()).toEqual([]);
        expect(await namesIn(place.directory, "mounts/owners")).toEqual([]);
        return;
      }
      const path = await pathOf(await prepared);
      expect(await inUserNamespace(first, path, "stat -c %u:%g far; cat far")).toBe(
        "65534:65534\nof nobody",
      );
    });

    it("that is read-only belongs to its ids there, too", async () => {
      const options = { accept: directory, idMappings: first, readonly: true };
      const prepared = await store.prepareRootfs(image, "owner", options);
      expect(await inUserNamespace(first, await pathOf(prepared), look)).toBe(seen);
    });
  },
);

describe("id mappings", () => {
  const at = (containerId: number, hostId: number, length: number) => ({
    containerId,
    hostId,
    length,
  });

  it.each([
    ["no mapping", []],
    ["an empty one", [at(0, 1000, 0)]],
    ["one that is no number", [at(0, Number.NaN, 1)]],
    ["a fraction", [at(0, 1.5, 1)]],
    ["a negative one", [at(-1, 1000, 2)]],
    ["one past the last id", [at(0, 4_294_967_000, 296)]],
    ["two of the same inside", [at(0, 1000, 10), at(9, 5000, 1)]],
    ["two of the same outside", [at(0, 1000, 10), at(20, 1009, 1)]],
    ["too many", Array.from({ length: 341 }, (_, id) => at(id, id, 1))],
    ["too long a text", Array.from({ length: 300 }, (_, id) => at(id, 4_000_000_000 + id, 1))],
  ])("that are %s are refused before anything is made", async (_, uids) => {
    const idMappings = { uids, gids: first.gids };
    await expect(store.prepareRootfs(image, "owner", { idMappings })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
      details: { field: "idMappings.uids" },
    });
    expect(await store.listOwners()).toEqual([]);
  });

  it("may have several runs, and work with loop devices", async () => {
    await reopen({ mountMethods: ["erofs-loop"] });
    const uids = [at(0, 500_000, 10), at(1000, 100_000, 1)];
    const idMappings = { uids, gids: [at(0, 500_000, 200)] };
    const options = { idMappings, accept: directory };
    const path = await pathOf(await store.prepareRootfs(image, "owner", options));
    expect(await inUserNamespace(idMappings, path, look)).toBe(seen);
    expect(await ownerOf(path, "home/mine")).toBe("100000:500100");
  });

  it("are nothing for block devices", async () => {
    await expect(
      store.prepareRootfs(image, "owner", { idMappings: first, accept: ["block"] }),
    ).rejects.toMatchObject({ code: "RUNTIME_NOT_SUPPORTED" });
  });

  it("are left out by the probe of mounts where they do not work, and tried where they do", async () => {
    const probes = await store.probeMounts();
    const able = probes.filter(({ shiftsIds }) => shiftsIds).map(({ method }) => method);
    expect(able).toEqual(["erofs-files", "erofs-loop", "fuse"]);
    expect(probes.find(({ method }) => method === "idmap")).toMatchObject({ available: true });
    expect(await place.mounts()).toEqual([]);
  });
});
