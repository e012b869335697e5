import { createReadStream, existsSync } from "node:fs";
import {
  chown,
  copyFile,
  link,
  mkdir,
  readFile,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DriverContainer, DriverSandbox, FileChange, SandboxFiles } from "@longshore/core";
import { ownedNetns } from "./fixtures/owned-netns.ts";
import { tarArchive, tarEntry } from "./fixtures/tar-entry.ts";
import {
  canRun,
  openMachine,
  run,
  text,
  type ContainerOptions,
  type TestMachine,
} from "./fixtures/test-machine.ts";

const hostId = 100_000;
const mapping = [{ hostId, containerId: 0, length: 65_536 }];
// Links are as old as their copies.
const listing = [
  "-printf",
  "%P %y %m %n %l",
  "(",
  "-type",
  "l",
  "-o",
  "-printf",
  " %T@",
  ")",
  "-printf",
  "\\n",
];
const usernsOptions = { mode: "pod", uids: mapping, gids: mapping } as const;

describe.skipIf(!canRun).each(["the host's users", "a user namespace"])(
  "files of a container without tools, with %s (needs root, runc and busybox)",
  (users) => {
    const isMapped = users === "a user namespace";
    let machine: TestMachine;
    let sandbox: DriverSandbox;
    let network: string;
    let bare: string;
    beforeAll(async () => {
      machine = await openMachine();
      network = join(machine.path, "owned-net");
      bare = join(machine.path, "bare");
      await mkdir(join(bare, "data"), { recursive: true });
      await copyFile("/bin/busybox", join(bare, "sleep"));
      await writeFile(join(bare, "data", "secret"), "secret", { mode: 0o600 });
      await symlink("/etc/machine", join(bare, "data", "link"));
      await symlink("../../../../../../etc/passwd", join(bare, "data", "out"));
      await symlink("/proc/1/root/../../..", join(bare, "data", "up"));
      if (isMapped) {
        await ownedNetns(network, hostId);
        await run("chown", ["-hR", `${hostId}:${hostId}`, bare]);
      }
      const root = isMapped ? hostId : 0;
      await chown(join(bare, "data", "secret"), root + 7, root);
      const spec = await machine.sandboxSpec(
        isMapped ? { linux: { securityContext: { namespaceOptions: { usernsOptions } } } } : {},
      );
      sandbox = await machine.driver.prepare(
        isMapped ? { ...spec, networkNamespace: network } : spec,
      );
    });
    afterAll(async () => {
      await sandbox.teardown();
      const left = await machine.leftovers();
      if (isMapped) await run("umount", [network]);
      await machine[Symbol.asyncDispose]();
      const others = left.filter((line) => !line.includes(network));
      if (others.length > 0) throw new Error(`left on the machine: ${others.join("; ")}`);
    });

    const open = async (
      options: ContainerOptions = {},
    ): Promise<{ container: DriverContainer; files: Required<SandboxFiles> }> => {
      const spec = await machine.containerSpec(["/sleep", "1000"], options);
      if (spec.rootfs.kind !== "overlay" || spec.rootfs.upper === undefined)
        throw new Error("none");
      if (isMapped) await chown(spec.rootfs.upper.upperDir, hostId, hostId);
      const container = await sandbox.start({ ...spec, rootfs: { ...spec.rootfs, lower: [bare] } });
      if (container.files === undefined) throw new Error("no files");
      return { container, files: container.files as Required<SandboxFiles> };
    };

    it("are written, read, listed and removed", async () => {
      const { container, files } = await open();
      await files.write("/new/dir/a file", "content", { mode: 0o640 });
      await files.write("/new/dir/a file", Buffer.from("changed"), { mode: 0o750 });
      expect(await files.readText("/new/dir/a file")).toBe("changed");
      expect(await files.stat("/new/dir/a file")).toMatchObject({
        type: "file",
        size: 7,
        mode: 0o750,
        modifiedAtMs: expect.any(Number),
      });
      await files.mkdir("/new/dir/sub/deep");
      await files.mkdir("/new/dir/sub/deep");
      expect((await files.list("/new/dir")).map(({ name, type }) => `${name} ${type}`)).toEqual([
        "a file file",
        "sub directory",
      ]);
      expect((await files.list("/data")).find(({ name }) => name === "link")?.type).toBe("symlink");
      await expect(files.remove("/new/dir")).rejects.toMatchObject({ code: "IO_ERROR" });
      await files.remove("/new", { recursive: true });
      await files.remove("/new");
      expect(await files.stat("/new")).toBeUndefined();
      await expect(files.read("/new/dir/a file")).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(files.list("/new")).rejects.toMatchObject({ code: "NOT_FOUND" });
      await container.remove();
    });

    it("of any size come and go as streams", async () => {
      const { container, files } = await open();
      const part = Buffer.alloc(1_000_000, "0123456789");
      async function* parts() {
        for (let index = 0; index < 30; index++) yield part;
      }
      await files.write("/big", parts());
      expect((await files.stat("/big"))?.size).toBe(30_000_000);
      await expect(files.read("/big")).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
      let size = 0;
      for await (const chunk of files.readStream("/big")) size += (chunk as Buffer).length;
      expect(size).toBe(30_000_000);
      await container.remove();
    });

    it("keep their content when a write is aborted or its source fails", async () => {
      const { container, files } = await open();
      await files.write("/kept", "old");
      const abort = new AbortController();
      async function* aborted() {
        yield Buffer.from("new");
        abort.abort(new Error("enough"));
        yield Buffer.from("er");
      }
      await expect(files.write("/kept", aborted(), { signal: abort.signal })).rejects.toThrow(
        "enough",
      );
      async function* failing() {
        yield Buffer.from("new");
        throw new Error("no more");
      }
      await expect(files.write("/kept", failing())).rejects.toThrow("no more");
      expect(await files.readText("/kept")).toBe("old");
      expect((await files.list("/")).filter(({ name }) => name.includes("part"))).toEqual([]);
      await container.remove();
    });

    it("are the container's only, wherever links lead", async () => {
      const { container, files } = await open();
      for (const path of [
        "/data/link",
        "/data/out",
        "/../../../etc/passwd",
        "/data/up/etc/passwd",
      ]) {
        await expect(files.read(path), path).rejects.toMatchObject({
          code: expect.stringMatching(/^(NOT_FOUND|IO_ERROR)$/),
        });
      }
      const hostName = await readFile("/proc/sys/kernel/osrelease", "utf8");
      expect(await files.readText("/proc/sys/kernel/osrelease")).toBe(hostName);
      await expect(files.read("/proc/self/environ")).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(files.write("/proc/self/root/x", "x")).rejects.toThrow("/proc/self");
      await expect(files.write("/data/link/x", "x")).rejects.toThrow("/data/link");
      expect(existsSync("/etc/machine")).toBe(false);
      await container.remove();
    });

    it("are those that the container's user and capabilities allow", async () => {
      const { container, files } = await open();
      expect(await files.readText("/data/secret")).toBe("secret");
      const capabilities = { dropCapabilities: ["ALL"] };
      const without = await open({ config: { linux: { securityContext: { capabilities } } } });
      await expect(without.files.read("/data/secret")).rejects.toMatchObject({
        code: "IO_ERROR",
        details: { errno: "EACCES" },
      });
      const other = await open({ process: { user: "1000:1000" } });
      await expect(other.files.read("/data/secret")).rejects.toMatchObject({ code: "IO_ERROR" });
      await expect(other.files.write("/data/mine", "x")).rejects.toMatchObject({
        details: { errno: "EACCES" },
      });
      await other.files.write("/dev/shm/mine", "x");
      const readonly = await open({
        config: { linux: { securityContext: { readonlyRootfs: true } } },
      });
      await expect(readonly.files.write("/x", "x")).rejects.toMatchObject({
        details: { errno: "EROFS" },
      });
      for (const each of [container, without.container, other.container, readonly.container]) {
        await each.remove();
      }
    });

    it("are no devices, pipes, or paths that make no sense", async () => {
      const { container, files } = await open();
      await expect(files.read("/dev/zero")).rejects.toMatchObject({ code: "IO_ERROR" });
      await expect(files.read("/data")).rejects.toMatchObject({ details: { errno: "EISDIR" } });
      for (const path of ["data", "", "/a\0b", `/${"x".repeat(5_000)}`]) {
        await expect(files.read(path)).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
      }
      for (const path of ["/", "/data/", "/data/..", "/."]) {
        await expect(files.remove(path, { recursive: true })).rejects.toMatchObject({
          code: "VALIDATION_ERROR",
        });
      }
      await container.signal("SIGKILL");
      await container.exit;
      await expect(files.read("/data/secret")).rejects.toMatchObject({
        code: "SANDBOX_INVALID_STATE",
      });
      await container.remove();
    });

    it.each(["gnu", "pax"])(
      "come as trees that tar packed in its format %s, and go again",
      async (format) => {
        const { container, files } = await open();
        const tree = join(machine.path, `tree-${format}`);
        const deep = join(tree, "a".repeat(90), "b".repeat(90), "c".repeat(120));
        await mkdir(deep, { recursive: true });
        await mkdir(join(tree, "closed"));
        await writeFile(join(deep, "file"), "deep");
        await writeFile(join(tree, "run"), "#!", { mode: 0o750 });
        await utimes(join(tree, "run"), 1_000_000_000, 1_000_000_000);
        await link(join(tree, "run"), join(tree, "same"));
        await symlink("../".repeat(60), join(tree, "up"));
        await writeFile(join(tree, "closed", "in\nside"), "shut");
        await writeFile(join(tree, "large"), "");
        await truncate(join(tree, "large"), 20_000_000);
        await run("chmod", ["0555", join(tree, "closed")]);
        const archive = join(machine.path, `${format}.tar`);
        await run("tar", ["-c", `--format=${format}`, "-f", archive, "-C", tree, "."]);
        await files.unpackTar(createReadStream(archive), "/made/there");
        expect(await files.readText(`/made/there/${deep.slice(tree.length)}/file`)).toBe("deep");
        expect(await files.stat("/made/there/run")).toMatchObject({
          mode: 0o750,
          modifiedAtMs: 1_000_000_000_000,
        });
        expect(await files.stat("/made/there/closed")).toMatchObject({ mode: 0o555 });
        const back = join(machine.path, `back-${format}`);
        await mkdir(back);
        await writeFile(join(back, "tar"), await buffer(files.packTar("/made/there/../there")));
        await run("tar", ["-x", "-f", join(back, "tar"), "-C", back, "--no-same-owner"]);
        const { stdout } = await run("diff", ["-r", "--no-dereference", tree, join(back, "there")]);
        expect(stdout).toBe("");
        const listed = async (path: string): Promise<string> =>
          (await run("find", [path, "-mindepth", "1", ...listing])).stdout
            .split("\n")
            .map((line) => line.replace(/(\d+)\.\d+$/, "$1"))
            .toSorted()
            .join("\n");
        expect(await listed(join(back, "there"))).toBe(await listed(tree));
        // What was there before is replaced, and a directory keeps its mode.
        await files.write("/made/there/same", "other");
        await files.unpackTar(
          tarArchive(
            tarEntry("closed", { type: "5", mode: 0o700 }),
            tarEntry("run", { body: "new" }),
          ),
          "/made/there",
        );
        expect(await files.readText("/made/there/run")).toBe("new");
        expect(await files.stat("/made/there/closed")).toMatchObject({ mode: 0o555 });
        await rm(tree, { recursive: true });
        await container.remove();
      },
    );

    it("do not leave their directory by an archive, whatever it says", async () => {
      const { container, files } = await open();
      await files.mkdir("/t/target");
      const target = "/t/target";
      const bad: readonly (readonly [string, readonly Buffer[]])[] = [
        ["absolute", [tarEntry("/t/out", { body: "x" })]],
        ["upwards", [tarEntry("a/../../out", { body: "x" })]],
        ["the directory itself as a file", [tarEntry("./", { type: "2", link: "/" })]],
        [
          "a link, then through it",
          [tarEntry("l", { type: "2", link: "/t" }), tarEntry("l/out", { body: "x" })],
        ],
        [
          "a link, then a directory there",
          [
            tarEntry("l", { type: "2", link: "/t" }),
            tarEntry("l", { type: "5" }),
            tarEntry("l/out"),
          ],
        ],
        [
          "a link to a link, then through it",
          [
            tarEntry("l", { type: "2", link: "/t" }),
            tarEntry("h", { type: "1", link: "l" }),
            tarEntry("h/out"),
          ],
        ],
        ["a hard link from outside", [tarEntry("h", { type: "1", link: "../kept" })]],
        [
          "a hard link through a link",
          [tarEntry("l", { type: "2", link: "/t" }), tarEntry("h", { type: "1", link: "l/kept" })],
        ],
        ["a device", [tarEntry("d", { type: "3" })]],
        ["a pipe", [tarEntry("p", { type: "6" })]],
        ["a name with NUL", [tarEntry("x", { type: "x", body: "12 path=a\0b\n" }), tarEntry("y")]],
      ];
      await files.write("/t/kept", "kept");
      for (const [what, entries] of bad) {
        await expect(files.unpackTar(tarArchive(...entries), target), what).rejects.toMatchObject({
          code: "VALIDATION_ERROR",
        });
      }
      expect((await files.list("/t")).map(({ name }) => name)).toEqual(["kept", "target"]);
      expect((await files.list(target)).map(({ name }) => name)).toEqual(["h", "l"]);
      expect(await files.readText("/t/kept")).toBe("kept");

      // Links of the container's own lead where they always do: inside.
      await files.unpackTar(tarArchive(tarEntry("link", { type: "2", link: "target" })), "/t");
      await files.unpackTar(tarArchive(tarEntry("link/by-link", { body: "x" })), "/t");
      expect(await files.readText("/t/target/by-link")).toBe("x");
      await expect(
        files.unpackTar(tarArchive(tarEntry("out/x", { body: "x" })), "/data"),
      ).rejects.toMatchObject({ code: "NOT_FOUND" });

      const deep = "d/".repeat(600);
      await expect(
        files.unpackTar(
          tarArchive(tarEntry("x", { type: "x", body: `1212 path=${deep}x\n` }), tarEntry("y")),
          target,
        ),
      ).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
      await expect(
        files.unpackTar(
          tarArchive(tarEntry("x", { type: "L", body: "x".repeat(1_048_577) })),
          target,
        ),
      ).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
      const whole = Buffer.concat([
        tarEntry("f", { body: "x".repeat(2_000) }),
        Buffer.alloc(1_024),
      ]);
      for (const part of [
        whole.subarray(0, 700),
        whole.subarray(0, -1_024),
        whole.subarray(0, 0),
        Buffer.alloc(1_024, "x"),
      ]) {
        await expect(files.unpackTar(Readable.from([part]), target)).rejects.toMatchObject({
          code: "IO_ERROR",
        });
      }
      const abort = new AbortController();
      async function* endless() {
        yield tarEntry("slow", { body: "x" });
        abort.abort(new Error("enough"));
        yield tarEntry("slower", { body: "x" });
      }
      await expect(files.unpackTar(endless(), target, { signal: abort.signal })).rejects.toThrow(
        "enough",
      );
      await expect(buffer(files.packTar("/none"))).rejects.toMatchObject({ code: "NOT_FOUND" });
      // A link is packed as what it is.
      const packed = await buffer(files.packTar("/data/out"));
      expect(packed.toString("latin1", 0, 200)).toMatch(/^\.\/out\0.*\.\.\/\.\.\/etc\/passwd/s);
      await container.remove();
    });

    it("are watched, also below and in what is new", async () => {
      const { container, files } = await open();
      await files.write("/w/old/file", "x");
      await expect(files.watch("/none")).rejects.toMatchObject({ code: "NOT_FOUND" });
      const watch = await files.watch("/w", { recursive: true });
      const flat = await files.watch("/w/");
      const changes = watch[Symbol.asyncIterator]();
      const until = async (type: FileChange["type"], path: string): Promise<readonly string[]> => {
        const seen: string[] = [];
        for (;;) {
          const { value } = await changes.next();
          if (value === undefined) throw new Error(`ended after ${seen.join(", ")}`);
          seen.push(`${value.type} ${value.path}`);
          if (value.type === type && value.path === path) return seen;
        }
      };
      await files.write("/w/new/deep/a b", "x", { mode: 0o600 });
      const seen = await until("created", "/w/new/deep/a b");
      expect(seen).toEqual(expect.arrayContaining(["created /w/new", "created /w/new/deep"]));
      expect(seen.filter((one) => one === "created /w/new/deep")).toHaveLength(1);
      await files.write("/w/new/deep/again", "x");
      await until("created", "/w/new/deep/again");
      await files.remove("/w/old", { recursive: true });
      expect(await until("removed", "/w/old")).toContain("removed /w/old/file");
      const first = await flat[Symbol.asyncIterator]().next();
      expect(first.value).toEqual({ type: "created", path: "/w/new" });
      await flat[Symbol.asyncDispose]();
      await files.remove("/w", { recursive: true });
      await until("removed", "/w");
      await expect(changes.next()).rejects.toMatchObject({ code: "IO_ERROR" });

      const other = await files.watch("/data");
      const aborted = new AbortController();
      const given = await files.watch("/data", { signal: aborted.signal });
      aborted.abort();
      expect((await given[Symbol.asyncIterator]().next()).done).toBe(true);
      await container.signal("SIGKILL");
      await container.exit;
      await expect(other[Symbol.asyncIterator]().next()).rejects.toMatchObject({
        code: "IO_ERROR",
      });
      await container.remove();
    });

    it("are reached while commands run", async () => {
      const { container, files } = await open();
      const process = await container.exec({
        argv: ["/sleep", "0"],
        env: [],
        workingDir: "/",
        tty: false,
        stdin: false,
      });
      const paths = Array.from({ length: 8 }, (_, index) => `/many/${index}`);
      await Promise.all(paths.map(async (path) => files.write(path, path)));
      expect(await Promise.all(paths.map(async (path) => files.readText(path)))).toEqual(paths);
      await text(process.stdout);
      expect(await process.exit).toMatchObject({ exitCode: 0 });
      await container.remove();
    });
  },
);
