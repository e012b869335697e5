import { lstat, readdir, symlink } from "node:fs/promises";
import { posix } from "node:path";
import { openSandbox, type RuntimeClient, type Sandbox } from "@longshore/core";
import { describe, expect, it } from "vitest";
import { tempRuntime } from "./temp-runtime.ts";

interface Host extends AsyncDisposable {
  readonly runtime: RuntimeClient;
  readonly sandbox: Sandbox;
  /** An absolute path in the container's own directory */
  at(path: string): string;
}

async function open(): Promise<Host> {
  const host = await tempRuntime();
  const { runtime, images } = host;
  const sandbox = await openSandbox(runtime, { image: "base", images });
  const root = (await sandbox.run(["pwd", "-P"])).stdout.trim();
  return {
    runtime,
    sandbox,
    at: (path) => posix.join(root, path),
    async [Symbol.asyncDispose]() {
      await host[Symbol.asyncDispose]();
    },
  };
}

describe("sandbox.files", () => {
  it("reads back what it wrote, and makes the directories above", async () => {
    await using host = await open();
    const { files } = host.sandbox;
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 256));
    await files.write(host.at("work/deep/data.bin"), bytes);
    expect(bytes.equals(await files.read(host.at("work/deep/data.bin")))).toBe(true);
    expect(await files.readText(host.at("etc/motd"))).toBe("hello from the image\n");
  });

  it("writes streams, with the mode that is asked for", async () => {
    await using host = await open();
    async function* source(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("#!/bin/sh\n");
      yield Buffer.from("echo made\n");
    }
    await host.sandbox.files.write(host.at("run.sh"), source(), { mode: 0o750 });
    expect((await host.sandbox.run(["./run.sh"])).stdout).toBe("made\n");
    expect(await host.sandbox.files.stat(host.at("run.sh"))).toMatchObject({ mode: 0o750 });
  });

  it("keeps the old file and no leftovers when writing fails half-way", async () => {
    await using host = await open();
    const { files } = host.sandbox;
    await files.write(host.at("a.txt"), "old");
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("new, but not a");
      throw new Error("source broke");
    }
    await expect(files.write(host.at("a.txt"), broken())).rejects.toThrow("source broke");
    expect(await files.readText(host.at("a.txt"))).toBe("old");
    expect(await readdir(host.at("."))).toEqual(["a.txt", "etc"]);
  });

  it("replaces a link instead of writing through it, and never moves a file into a directory", async () => {
    await using host = await open();
    const { files } = host.sandbox;
    await symlink(host.at("etc/motd"), host.at("link"));
    await files.write(host.at("link"), "mine");
    expect((await lstat(host.at("link"))).isFile()).toBe(true);
    expect(await files.readText(host.at("etc/motd"))).toBe("hello from the image\n");
    await expect(files.write(host.at("etc"), "x")).rejects.toMatchObject({ code: "IO_ERROR" });
    expect(await readdir(host.at("etc"))).toEqual(["motd"]);
  });

  it("treats every character of a path as a part of a name", async () => {
    await using host = await open();
    const { files } = host.sandbox;
    const names = ["-rf", "a b", "$(id)", "line\nbreak", "ünïcode", "'quoted'", "81a4 1 1"];
    for (const name of names) await files.write(host.at(`odd/${name}`), name);
    for (const name of names) expect(await files.readText(host.at(`odd/${name}`))).toBe(name);
    const listed = await files.list(host.at("odd"));
    expect(listed.map(({ name }) => name)).toEqual(names.toSorted());
    expect(
      listed.every(({ type, name, size }) => type === "file" && size === Buffer.byteLength(name)),
    ).toBe(true);
    await files.remove(host.at("odd/-rf"));
    expect(await files.stat(host.at("odd/-rf"))).toBeUndefined();
  });

  it("lists types, sizes and times", async () => {
    await using host = await open();
    const { files } = host.sandbox;
    await files.mkdir(host.at("work/sub"));
    await files.write(host.at("work/file"), "12345", { mode: 0o600 });
    await symlink("file", host.at("work/link"));
    const before = Date.now() - 60_000;
    expect(await files.list(host.at("work"))).toEqual([
      { name: "file", type: "file", size: 5, mode: 0o600, modifiedAtMs: expect.any(Number) },
      expect.objectContaining({ name: "link", type: "symlink" }),
      expect.objectContaining({ name: "sub", type: "directory" }),
    ]);
    expect((await files.stat(host.at("work/link")))?.modifiedAtMs).toBeGreaterThan(before);
    expect(await files.stat(host.at("work/link"))).toMatchObject({ type: "file", size: 5 });
    expect(await files.stat("/dev/null")).toMatchObject({ type: "other" });
    expect(await files.list(host.at("work/sub"))).toEqual([]);
  });

  it("removes trees only when asked, and minds nothing that is gone already", async () => {
    await using host = await open();
    const { files } = host.sandbox;
    await files.write(host.at("tree/a/b"), "x");
    await expect(files.remove(host.at("tree"))).rejects.toMatchObject({ code: "IO_ERROR" });
    await files.remove(host.at("tree"), { recursive: true });
    await files.remove(host.at("tree"), { recursive: true });
    await files.remove(host.at("tree"));
    expect(await files.stat(host.at("tree"))).toBeUndefined();
  });

  it("tells what is missing from what is wrong", async () => {
    await using host = await open();
    const { files } = host.sandbox;
    await expect(files.read(host.at("nothing"))).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(files.list(host.at("nothing"))).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(files.read(host.at("etc"))).rejects.toMatchObject({ code: "IO_ERROR" });
    await expect(files.list(host.at("etc/motd"))).rejects.toMatchObject({ code: "IO_ERROR" });
    await expect(files.mkdir(host.at("etc/motd"))).rejects.toMatchObject({ code: "IO_ERROR" });
    await expect(files.mkdir(host.at("etc/motd/x"))).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  it("refuses to read more than allowed, endless files too", async () => {
    await using host = await open();
    const { files } = host.sandbox;
    await files.write(host.at("ten"), "0123456789");
    expect(await files.readText(host.at("ten"), { maxBytes: 10 })).toBe("0123456789");
    const code = "LIMIT_EXCEEDED";
    await expect(files.read(host.at("ten"), { maxBytes: 9 })).rejects.toMatchObject({ code });
    await expect(files.read("/dev/zero", { maxBytes: 1_000 })).rejects.toMatchObject({ code });
  });

  it.each(["", "relative", "./a", "-rf", "/a\0b", `/${"x".repeat(5_000)}`])(
    "refuses the path %j",
    async (path) => {
      await using host = await open();
      const { files } = host.sandbox;
      const refusal = { code: "VALIDATION_ERROR" };
      await expect(files.read(path)).rejects.toMatchObject(refusal);
      await expect(files.write(path, "")).rejects.toMatchObject(refusal);
      await expect(files.list(path)).rejects.toMatchObject(refusal);
      await expect(files.stat(path)).rejects.toMatchObject(refusal);
      await expect(files.mkdir(path)).rejects.toMatchObject(refusal);
      await expect(files.remove(path, { recursive: true })).rejects.toMatchObject(refusal);
    },
  );

  it.each(["/", "//", "/usr/.."])("refuses to remove %j", async (path) => {
    await using host = await open();
    const removing = host.sandbox.files.remove(path, { recursive: true });
    await expect(removing).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("says so when the image has no tools to reach its files with", async () => {
    await using host = await open();
    const { runtime, sandbox } = host;
    const without: RuntimeClient = {
      ...runtime,
      exec: (request, options) =>
        runtime.exec(
          { ...request, cmd: [`/none/${request.cmd[0]}`, ...request.cmd.slice(1)] },
          options,
        ),
    };
    const { status } = await runtime.containerStatus({ containerId: sandbox.containerId });
    await using bare = await openSandbox(without, { image: status.imageId });
    await expect(bare.files.read("/etc/hostname")).rejects.toMatchObject({
      code: "RUNTIME_NOT_SUPPORTED",
    });
  });

  it("uses the runtime's own file access when it has one", async () => {
    await using host = await open();
    const { runtime, sandbox } = host;
    const own = { ...sandbox.files, readText: async () => "from the runtime" };
    const { status } = await runtime.containerStatus({ containerId: sandbox.containerId });
    await using other = await openSandbox(
      { ...runtime, files: () => own },
      { image: status.imageId },
    );
    expect(await other.files.readText("/any")).toBe("from the runtime");
  });
});
