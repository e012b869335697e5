import { randomBytes } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PrepareRootfsOptions } from "@longshore/core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { NydusImageStore } from "../../src/nydus-image-store.ts";
import { oddImage, unpackedListing, type OddImage } from "../publish/odd-image.ts";
import { storePlace, unfinishedFiles, type StorePlace } from "../publish/store-place.ts";
import { run } from "../registry/sample-image.ts";
import { inUserNamespace } from "../rootfs/in-user-namespace.ts";
import { differences, type FileListing } from "../tree/file-listing.ts";
import { listDirectory } from "../tree/list-directory.ts";

let images: StorePlace;
let place: StorePlace;
let image: OddImage;
let store: NydusImageStore;
const base = "localhost/odd:one";

beforeAll(async () => {
  images = await storePlace();
  image = await oddImage(images.path);
});

afterAll(() => images[Symbol.asyncDispose]());

beforeEach(async () => {
  place = await storePlace();
});

afterEach(() => place[Symbol.asyncDispose]());

async function open(options: Parameters<StorePlace["open"]>[1] = {}): Promise<void> {
  store = await place.open("store", options);
  await store.pullImage({ image: { image: image.name } });
}

// What a container does to its files, of every kind.
const changes = String.raw`
import os, random, shutil, stat, sys
os.chdir(os.fsencode(sys.argv[1]))
noise = random.Random(11)
def put(name, data):
    with open(name, "wb") as f: f.write(data)
put(b"new", noise.randbytes((1 << 20) + 7))
put(b"copied", open(b"three", "rb").read())
os.mkdir(b"made"); os.chmod(b"made", 0o2770); put(b"made/\xff\xfe", b"not utf-8")
with open(b"text", "ab") as f: f.write(b"appended")
os.unlink(b"empty")
shutil.rmtree(b"many")
shutil.rmtree(b"dir"); os.mkdir(b"dir"); put(b"dir/only", b"this")
os.unlink(b"link"); os.mkdir(b"link"); put(b"link/in", b"a directory now")
shutil.rmtree(b"hollow"); put(b"hollow", b"a file now")
os.chown(b"owned", 7, 8); os.chmod(b"bin/group", 0o700)
os.unlink(b"absolute"); os.symlink(b"/new/target", b"absolute")
put(b"first", b"linked"); os.link(b"first", b"made/second"); os.link(b"first", b"zz last")
os.mkfifo(b"tube", 0o600)
os.setxattr(b"xattrs", b"user.text", b"other"); os.removexattr(b"xattrs", b"user.big")
with open(b"sparse", "wb") as f: f.truncate(5 << 20); f.seek(3 << 20); f.write(b"in the middle")
os.utime(b"block", ns=(0, 1_234_567_890_123_456_789))
os.chmod(b".", 0o750)
`;

const onlyRoot = `
os.mknod(b"zero", 0o622 | stat.S_IFCHR, os.makedev(1, 5))
os.setxattr(b"new", b"security.capability", b"\\x01\\x00\\x00\\x02\\x00\\x04" + bytes(14))
os.setxattr(b"made", b"system.posix_acl_default", bytes.fromhex("02000000" "01000700ffffffff" "0200070007000000"
  "04000500ffffffff" "10000700ffffffff" "20000000ffffffff"))
`;

function pathOf({ rootfs }: { readonly rootfs: { readonly kind: string } }): string {
  if ("path" in rootfs && typeof rootfs.path === "string") return rootfs.path;
  throw new Error(`expected a directory, got ${rootfs.kind}`);
}

async function prepare(options: PrepareRootfsOptions = {}): Promise<string> {
  return pathOf(await store.prepareRootfs(base, "owner", { accept: ["directory"], ...options }));
}

/** Files of an image, also of a store that does not mount. */
async function listing(name: string): Promise<FileListing> {
  return place.list(await place.open("store"), name);
}

/** What the overlay itself keeps in attributes is nobody's business. */
const ignoreXattrs = /^trusted\.overlay\./;

describe.each([
  ["an overlay", undefined],
  ["a copy", { mountMethods: [] }],
])("an image made of a root filesystem that is %s", (_, options) => {
  it("has the files as they are, here and pushed", { timeout: 60_000 }, async () => {
    await open(options);
    const path = await prepare();
    await run("python3", "-c", changes + onlyRoot, path);
    const expected = await listDirectory(path, { ignoreXattrs });
    const id = await store.commitRootfs("owner", { reference: "localhost/made:one" });
    expect(await unfinishedFiles(store)).toEqual([]);
    // The root filesystem is its owner's still.
    expect(differences(await listDirectory(path, { ignoreXattrs }), expected)).toEqual([]);
    await store.releaseRootfs("owner");
    await store.removeImage({ image: base });

    const listed = await store.listImages({ image: { image: "localhost/made:one" } });
    expect(listed).toMatchObject([{ id, repoTags: ["localhost/made:one"] }]);
    expect((await store.verify()).problems).toEqual([]);
    expect(differences(await listing("localhost/made:one"), expected)).toEqual([]);

    const layout = join(await place.directory(), "layout");
    await store.push("localhost/made:one", `oci:${layout}:one`);
    expect(differences(await unpackedListing(place.path, `${layout}:one`), expected)).toEqual([]);
    const inspected = JSON.parse(await run("skopeo", "inspect", "--raw", `oci:${layout}:one`));
    expect(inspected.config.digest).toBe(id);
    const other = await place.open("other");
    expect(await other.pullImage({ image: { image: `oci:${layout}:one` } })).toBe(id);
  });

  it("without changes has the same files, and stores nothing new", async () => {
    await open(options);
    await prepare();
    const before = await readdir(join(store.directory, "blobs/sha256"));
    const id = await store.commitRootfs("owner", { reference: "made" });
    const image2 = await store.imageStatus({ image: { image: "made" } });
    expect(image2.image).toMatchObject({ id, repoTags: ["docker.io/library/made:latest"] });
    expect(differences(await listing("made"), image.listing)).toEqual([]);
    // Another bootstrap at most: times of copied directories may differ.
    expect(
      (await readdir(join(store.directory, "blobs/sha256"))).length - before.length,
    ).toBeLessThan(2);
  });
});

describe("what is new in an image", () => {
  it("is stored once: another image that has it, too, adds only metadata", async () => {
    await open();
    const bytes = randomBytes(3_000_000);
    await writeFile(join(await prepare(), "new.bin"), bytes);
    await store.commitRootfs("owner", { reference: "localhost/made:one" });
    await store.releaseRootfs("owner");
    const before = await readdir(join(store.directory, "blobs/sha256"));
    await writeFile(join(await prepare(), "elsewhere.bin"), bytes);
    await store.commitRootfs("owner", { reference: "localhost/made:two" });
    const after = await readdir(join(store.directory, "blobs/sha256"));
    expect(after.length - before.length).toBe(1);
    expect((await store.verify()).problems).toEqual([]);
  });
});

describe("an image made of a root filesystem in a user namespace", () => {
  const mapping = { containerId: 0, hostId: 100_000, length: 65_536 };
  const idMappings = { uids: [mapping], gids: [mapping] };

  it.each([
    ["an overlay", undefined],
    ["a copy", { mountMethods: [] }],
  ])("belongs to whom it belongs there (%s)", async (_, options) => {
    const layout = join(await place.directory(), "plain");
    await run("umoci", "init", "--layout", layout);
    await run("umoci", "new", "--image", `${layout}:one`);
    const bundle = join(await place.directory(), "bundle");
    await run("umoci", "unpack", "--image", `${layout}:one`, bundle);
    await run(
      "sh",
      "-ec",
      `cd "$0"; mkdir etc; echo root > etc/root; echo user > etc/user; chown 1000:100 etc/user
       setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 etc/root`,
      join(bundle, "rootfs"),
    );
    await run("umoci", "repack", "--image", `${layout}:one`, bundle);
    store = await place.open("store", options);
    await store.pullImage({ image: { image: `oci:${layout}:one` } });
    const prepared = await store.prepareRootfs("localhost/plain:one", "owner", {
      accept: ["directory"],
      idMappings,
    });
    const path = pathOf(prepared);
    await run("chmod", "711", place.path);
    await inUserNamespace(
      idMappings,
      path,
      "echo more >> etc/user; echo new > etc/new; chown 5:6 etc/new; chmod 755 etc/root; mkdir sub",
    );
    await store.commitRootfs("owner", { reference: "localhost/made:one" });
    const files = await listing("localhost/made:one");
    const owners = [...files.values()].map(({ path: name, uid, gid }) => `${name} ${uid}:${gid}`);
    expect(owners).toEqual([
      ". 0:0",
      "etc 0:0",
      "etc/new 5:6",
      "etc/root 0:0",
      "etc/user 1000:100",
      "sub 0:0",
    ]);
    expect(files.get("etc/root")?.xattrs).toEqual({
      "security.capability": "0100000200200000000000000000000000000000",
    });
  });
});

describe("an image that is loaded on demand", () => {
  it("is taken in whole", { timeout: 60_000 }, async () => {
    await open();
    const layout = join(await place.directory(), "nydus");
    await store.convert(base, `oci:${layout}:one`);
    const other = await place.open("other");
    await other.pullImage({ image: { image: `oci:${layout}:one` } });
    expect((await other.inspect("localhost/nydus:one")).isOnDemand).toBe(true);
    const prepared = await other.prepareRootfs("localhost/nydus:one", "owner", {
      accept: ["directory"],
    });
    await run("sh", "-c", 'echo more >> "$0/text"; rm "$0/three"', pathOf(prepared));
    await other.commitRootfs("owner", { reference: "localhost/made:one" });
    await other.releaseRootfs("owner");
    await other.removeImage({ image: "localhost/nydus:one" });
    expect((await other.inspect("localhost/made:one")).isOnDemand).toBe(false);
    const files = await place.list(other, "localhost/made:one");
    expect(files.get("three")).toBeUndefined();
    const size = image.listing.get("text")?.size ?? 0;
    expect(files.get("text")?.size).toBe(size + "more\n".length);
    const changed = new Set([".", "text", "three"]);
    const rest = (tree: FileListing) => new Map([...tree].filter(([path]) => !changed.has(path)));
    const ignore = (path: string, field: string): boolean =>
      // Its other name, the one that is gone, was the first of the two.
      path === "again/three" && field === "hardlink";
    expect(differences(rest(files), rest(image.listing), { ignore })).toEqual([]);
  });
});

describe("the configuration of an image that is committed", () => {
  it("has the changes, what it had before, and one more step", async () => {
    await open({ now: () => Date.UTC(2024, 0, 2, 3, 4, 5) });
    await prepare();
    const before = JSON.parse((await store.inspect(base)).record.config);
    await store.commitRootfs("owner", {
      reference: "localhost/made:one",
      comment: "with changes",
      author: "somebody",
      config: {
        user: "7:8",
        env: ["A=changed", "B=new=yes"],
        entrypoint: ["/bin/tool"],
        cmd: ["-x", ""],
        workingDir: "/tmp",
        labels: { added: "1" },
        exposedPorts: ["80/tcp"],
        volumes: ["/data"],
      },
    });
    const config = JSON.parse((await store.inspect("localhost/made:one")).record.config);
    expect(config).toMatchObject({
      created: "2024-01-02T03:04:05.000Z",
      author: "somebody",
      architecture: before.architecture,
      config: {
        User: "7:8",
        Env: ["A=changed", "B=new=yes"],
        Entrypoint: ["/bin/tool"],
        Cmd: ["-x", ""],
        WorkingDir: "/tmp",
        Labels: { ...before.config.Labels, added: "1" },
        ExposedPorts: { "80/tcp": {} },
        Volumes: { "/data": {} },
      },
    });
    expect(config.history).toHaveLength((before.history?.length ?? 0) + 2);
    expect(config.history.at(-2)).toMatchObject({
      created_by: "longshore commit",
      comment: "with changes",
      author: "somebody",
      empty_layer: true,
    });
    const { config: prepared } = await store.prepareRootfs("localhost/made:one", "second");
    expect(prepared).toMatchObject({ user: "7:8", cmd: ["-x", ""], workingDir: "/tmp" });
  });

  it("is refused with a wrong value, and nothing is made", async () => {
    await open();
    await prepare();
    for (const [field, value] of [
      ["env", ["no value"]],
      ["env", ["=x"]],
      ["workingDir", "relative"],
      ["exposedPorts", ["http"]],
      ["volumes", ["data"]],
    ] as const) {
      await expect(
        store.commitRootfs("owner", { reference: "made", config: { [field]: value } }),
      ).rejects.toMatchObject({ code: "VALIDATION_ERROR", details: { field: `config.${field}` } });
    }
    expect(await store.listImages()).toHaveLength(1);
  });
});

describe("a commit", () => {
  it("is refused for an owner that holds nothing, or nothing that can be seen", async () => {
    await open();
    const reference = "made";
    await expect(store.commitRootfs("nobody", { reference })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    await store.prepareRootfs(base, "vm", { accept: ["block"] });
    await expect(store.commitRootfs("vm", { reference })).rejects.toMatchObject({
      code: "RUNTIME_NOT_SUPPORTED",
    });
    await prepare();
    for (const wrong of ["", "UPPER", `made@sha256:${"0".repeat(64)}`, "../x"]) {
      await expect(store.commitRootfs("owner", { reference: wrong })).rejects.toMatchObject({
        code: "VALIDATION_ERROR",
      });
    }
  });

  it("of what breaks limits or layers is refused, and leaves nothing", async () => {
    await open({ limits: { maxEntries: 1_000, maxFileBytes: 100_000_000 } });
    const path = await prepare();
    const before = await readdir(join(store.directory, "blobs/sha256"));
    const script = async (text: string): Promise<void> => {
      await run("sh", "-ec", `cd "$0"; ${text}`, path);
    };
    const refused = async (): Promise<unknown> =>
      store.commitRootfs("owner", { reference: "made" }).then(
        () => "not refused",
        ({ code, message }) => `${code} ${message}`,
      );
    await script("mkdir many2; cd many2; for n in $(seq 1000); do : > $n; done");
    expect(await refused()).toMatch(/^VALIDATION_ERROR .*1000 entries|too many/);
    await script("rm -r many2; truncate -s 1T huge");
    expect(await refused()).toMatch(/^VALIDATION_ERROR .*bytes in all/);
    await script("rm huge; : > .wh.x");
    expect(await refused()).toMatch(/^VALIDATION_ERROR .*deletion in a layer/);
    await script("rm .wh.x");
    expect(await unfinishedFiles(store)).toEqual([]);
    expect(await readdir(join(store.directory, "blobs/sha256"))).toEqual(before);
    expect(await store.listImages()).toHaveLength(1);
    await store.commitRootfs("owner", { reference: "made" });
  });

  it("that is aborted leaves nothing, wherever it is", { timeout: 60_000 }, async () => {
    await open();
    const path = await prepare();
    await run("python3", "-c", changes, path);
    const before = await readdir(join(store.directory, "blobs/sha256"));
    let wasAborted = 0;
    for (const delayMs of [0, 20, 60, 120, 200, 350]) {
      const outcome = await store
        .commitRootfs("owner", { reference: "made", signal: AbortSignal.timeout(delayMs) })
        .catch((error: unknown) => error);
      expect(await unfinishedFiles(store)).toEqual([]);
      if (typeof outcome === "string") break;
      wasAborted += 1;
      expect(outcome).toMatchObject({ name: "TimeoutError" });
      expect(await readdir(join(store.directory, "blobs/sha256"))).toEqual(before);
    }
    expect(wasAborted).toBeGreaterThan(0);
    await store.commitRootfs("owner", { reference: "made" });
  });

  it("is refused when the overlay kept parts of files elsewhere", async () => {
    await open();
    for (const [option, change] of [
      ["redirect_dir", 'mv "$0/dir" "$0/moved"'],
      ["metacopy", 'chmod 600 "$0/three"'],
    ] as const) {
      const { rootfs } = await store.prepareRootfs(base, option);
      if (rootfs.kind !== "overlay") throw new Error(`expected an overlay, got ${rootfs.kind}`);
      const { lower, upper } = rootfs;
      const merged = await place.directory();
      const directories = `lowerdir=${lower[0]},upperdir=${upper?.upperDir},workdir=${upper?.workDir}`;
      await run("mount", "-t", "overlay", "-o", `${directories},${option}=on`, "overlay", merged);
      try {
        await run("sh", "-c", change, merged);
      } finally {
        await run("umount", merged);
      }
      await expect(store.commitRootfs(option, { reference: "made" })).rejects.toMatchObject({
        code: "RUNTIME_NOT_SUPPORTED",
        details: { option },
      });
    }
    expect(await unfinishedFiles(store)).toEqual([]);
  });

  it("never shows what a link leads to, whoever puts it there", async () => {
    await open();
    const path = await prepare();
    const secret = join(await place.directory(), "secret");
    await run("sh", "-ec", 'mkdir "$0"; echo secret > "$0/file"', secret);
    await run(
      "sh",
      "-ec",
      `cd "$0"; rm -r dir; ln -s ${secret} dir; ln -s ${secret}/file direct`,
      path,
    );
    await store.commitRootfs("owner", { reference: "made" });
    const files = await listing("made");
    expect(files.get("dir")).toMatchObject({ kind: "symlink", target: secret });
    expect(files.get("direct")).toMatchObject({ kind: "symlink" });
    expect(files.has("dir/file")).toBe(false);
  });

  it("can be made of what was committed, and takes a name over", async () => {
    await open();
    await prepare();
    const first = await store.commitRootfs("owner", { reference: "made", comment: "1" });
    const made = await store.prepareRootfs("made", "second", { accept: ["directory"] });
    await run("sh", "-c", 'echo 2 > "$0/two"', pathOf(made));
    const second = await store.commitRootfs("second", { reference: "made", comment: "2" });
    expect(second).not.toBe(first);
    expect((await store.imageStatus({ image: { image: "made" } })).image?.id).toBe(second);
    await store.releaseRootfs("second");
    await store.collectGarbage();
    expect((await store.listImages()).map(({ id }) => id)).not.toContain(first);
    const target = await place.directory();
    await using _mount = await store.mount("made", target);
    expect(await readFile(join(target, "two"), "utf8")).toBe("2\n");
    expect((await store.verify()).problems).toEqual([]);
  });
});
