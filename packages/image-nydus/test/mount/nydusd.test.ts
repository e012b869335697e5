import { existsSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { unmountImage, type NydusImageStore } from "../../src/index.ts";
import { mountedAt } from "../../src/mount/mounted-at.ts";
import { oddImage, type OddImage } from "../publish/odd-image.ts";
import { startStoreProcess } from "../store/start-store-process.ts";
import { namesIn, storePlace, type StorePlace } from "../store/store-place.ts";
import { differences } from "../tree/file-listing.ts";
import { listDirectory } from "../tree/list-directory.ts";

// As the conformance script of the repository builds it, or as it is installed.
const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "longshore");
const built = join(cache, "nydus-rs-2.2.0", "bin");
const path = process.env["PATH"] ?? "";
const directories = [process.env["NYDUS_BIN"] ?? built, ...path.split(delimiter)];
const hasNydusd = directories.some((directory) => existsSync(join(directory, "nydusd")));

let place: StorePlace;
let store: NydusImageStore;
let image: OddImage;
const name = "localhost/odd:one";
const mountMethods = ["nydusd"] as const;

describe.skipIf(!hasNydusd)(
  `Nydus' own daemon${hasNydusd ? "" : " (not offered: scripts/nydus-conformance.ts builds it)"}`,
  () => {
    beforeEach(async () => {
      process.env["PATH"] = directories.join(delimiter);
      place = await storePlace();
      image = await oddImage(place.path, { isTame: true });
      store = await place.open({ mountMethods });
      await store.pullImage({ image: { image: image.name } });
    });

    afterEach(async () => {
      process.env["PATH"] = path;
      await store[Symbol.asyncDispose]();
      const left = [
        ...(await place.mounts()),
        ...(await namesIn(place.directory, "mounts/nydusd")),
      ];
      await place[Symbol.asyncDispose]();
      if (left.length > 0) throw new Error(`left: ${left.join(", ")}`);
    });

    /** It numbers a file in two ways, by how the kernel came to it, so that names of one file look like two. */
    const ignore = (_path: string, field: string): boolean => field === "hardlink";

    async function target(): Promise<string> {
      const directory = join(place.path, "mnt");
      await mkdir(directory, { recursive: true });
      return directory;
    }

    it("serves the same tree, also after the image was removed, and ends with the mount", async () => {
      const mount = await store.mount(name, await target());
      expect(mount.method).toBe("nydusd");
      await store.removeImage({ image: name });
      expect(differences(await listDirectory(mount.target), image.listing, { ignore })).toEqual([]);
      await mount[Symbol.asyncDispose]();
      await mount[Symbol.asyncDispose]();
      await mount.ended;
      expect(await readdir(mount.target)).toEqual([]);
    });

    it("makes root filesystems that take changes, of one daemon for an image", async () => {
      const options = { accept: ["directory"] } as const;
      await using first = await store.prepareRootfs(name, "first", options);
      await using second = await store.prepareRootfs(name, "second", options);
      for (const { rootfs } of [first, second]) {
        if (rootfs.kind !== "directory") throw new Error(`expected a directory: ${rootfs.kind}`);
        expect(
          differences(await listDirectory(rootfs.path), image.listing, {
            ignore: (at, field) => field === "hardlink" || (field === "mtime" && at === "."),
          }),
        ).toEqual([]);
      }
      expect(await namesIn(place.directory, "mounts/nydusd")).toHaveLength(1);
    });

    it("cannot shift owners", async () => {
      const mapping = { containerId: 0, hostId: 100_000, length: 65_536 };
      const idMappings = { uids: [mapping], gids: [mapping] };
      await expect(
        store.prepareRootfs(name, "owner", { idMappings, accept: ["overlay"] }),
      ).rejects.toMatchObject({ code: "RUNTIME_NOT_SUPPORTED" });
    });

    it("ends when somebody else unmounts, or is told to have broken", async () => {
      const mount = await store.mount(name, await target());
      await unmountImage(mount.target);
      await mount.ended;
      const again = await store.mount(name, await target());
      for (const pid of await daemons()) process.kill(pid, "SIGKILL");
      await expect(again.ended).rejects.toMatchObject({ code: "IO_ERROR" });
      expect(await mountedAt(again.target)).toBeUndefined();
    });

    it("is ended after a crash of who started it", async () => {
      await store[Symbol.asyncDispose]();
      const options = { accept: ["directory"] } as const;
      await using dead = startStoreProcess({
        directory: place.directory,
        options: { mountMethods },
        steps: [
          { do: "prepare", image: name, owner: "owner", options, write: "mine" },
          { do: "mount", image: name, target: await target() },
          { do: "wait" },
        ],
      });
      expect(await dead.result(2)).toBe("waiting");
      await dead.kill();
      expect(await daemons()).toHaveLength(2);
      store = await place.open({ mountMethods });
      expect(await place.mounts()).toEqual([]);
      await expect.poll(daemons).toEqual([]);
      expect(await namesIn(place.directory, "mounts/nydusd")).toEqual([]);
      const { rootfs } = await store.prepareRootfs(name, "owner", options);
      if (rootfs.kind !== "directory") throw new Error(`expected a directory: ${rootfs.kind}`);
      expect(await readFile(join(rootfs.path, "mine"), "utf8")).toBe("mine");
    });

    it("is refused with what it says when it cannot mount", async () => {
      process.env["PATH"] = join(place.path, "bin");
      const other = await place.open({ mountMethods });
      const probes = await other.probeMounts();
      expect(probes.find(({ method }) => method === "nydusd")?.available).toBe(false);
      await expect(other.mount(name, await target())).rejects.toMatchObject({
        code: "RUNTIME_NOT_SUPPORTED",
      });
      await other[Symbol.asyncDispose]();
    });

    /** Daemons that work in this place. */
    async function daemons(): Promise<readonly number[]> {
      const found: number[] = [];
      for (const pid of await readdir("/proc")) {
        const text = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
        if (text.includes(join(place.directory, "mounts/nydusd"))) found.push(Number(pid));
      }
      return found;
    }
  },
);
