import { existsSync } from "node:fs";
import { chown, copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DriverContainer, DriverSandbox, SandboxFiles } from "@longshore/core";
import { ownedNetns } from "./fixtures/owned-netns.ts";
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
    ): Promise<{ container: DriverContainer; files: SandboxFiles }> => {
      const spec = await machine.containerSpec(["/sleep", "1000"], options);
      if (spec.rootfs.kind !== "overlay" || spec.rootfs.upper === undefined)
        throw new Error("none");
      if (isMapped) await chown(spec.rootfs.upper.upperDir, hostId, hostId);
      const container = await sandbox.start({ ...spec, rootfs: { ...spec.rootfs, lower: [bare] } });
      if (container.files === undefined) throw new Error("no files");
      return { container, files: container.files };
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
      for await (const chunk of files.readStream?.("/big") ?? []) size += (chunk as Buffer).length;
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
