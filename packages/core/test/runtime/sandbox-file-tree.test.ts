import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import type { RuntimeClient } from "@longshore/core";
import { Header } from "tar";
import { describe, expect, it } from "vitest";
import { unpackTree } from "../../src/runtime/local-archive.ts";
import { openBase } from "./open-base.ts";

interface TempDirectory extends AsyncDisposable {
  at(...names: readonly string[]): string;
}

async function tempDirectory(): Promise<TempDirectory> {
  const path = await mkdtemp(join(tmpdir(), "longshore-files-"));
  return {
    at: (...names) => join(path, ...names),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** Every tool is BusyBox's. */
function busybox(runtime: RuntimeClient): RuntimeClient {
  return {
    ...runtime,
    exec: (request, options) =>
      runtime.exec({ ...request, cmd: ["busybox", ...request.cmd] }, options),
  };
}

const toolSets: readonly (readonly [string, (runtime: RuntimeClient) => RuntimeClient])[] = [
  ["GNU", (runtime) => runtime],
  ["BusyBox", busybox],
];

async function makeTree(root: string): Promise<void> {
  await mkdir(join(root, "sub", "empty"), { recursive: true });
  await writeFile(join(root, "a.txt"), "a");
  await writeFile(join(root, "@odd -name\n"), "odd");
  await writeFile(join(root, "sub", "run.sh"), "#!/bin/sh\necho ran\n");
  await chmod(join(root, "sub", "run.sh"), 0o750);
  await symlink("../a.txt", join(root, "sub", "link"));
}

async function expectTree(root: string): Promise<void> {
  expect((await readdir(root)).toSorted()).toEqual(["@odd -name\n", "a.txt", "sub"]);
  expect((await readdir(join(root, "sub"))).toSorted()).toEqual(["empty", "link", "run.sh"]);
  expect(await readFile(join(root, "@odd -name\n"), "utf8")).toBe("odd");
  expect((await lstat(join(root, "sub", "run.sh"))).mode & 0o777).toBe(0o750);
  expect(await readlink(join(root, "sub", "link"))).toBe("../a.txt");
}

describe.each(toolSets)("files of a sandbox with %s tools", (_name, wrap) => {
  it("are uploaded and downloaded as trees", async () => {
    await using local = await tempDirectory();
    await using host = await openBase({ command: ["sleep", "1000"] }, wrap);
    const { files } = host.sandbox;
    await makeTree(local.at("tree"));
    await files.upload(local.at("tree"), host.at("deep/copy"));
    await expectTree(host.at("deep/copy"));
    await files.download(host.at("deep/copy"), local.at("back", "again"));
    await expectTree(local.at("back", "again"));
    expect((await readdir(local.at("back"))).toSorted()).toEqual(["again"]);
  });

  it("are uploaded and downloaded one by one, with their modes", async () => {
    await using local = await tempDirectory();
    await using host = await openBase({}, wrap);
    const { files } = host.sandbox;
    await writeFile(local.at("run.sh"), "#!/bin/sh\n", { mode: 0o755 });
    await files.upload(local.at("run.sh"), host.at("bin/run"));
    expect((await lstat(host.at("bin/run"))).mode & 0o777).toBe(0o755);
    await files.download(host.at("bin/run"), local.at("back.sh"));
    await files.download(host.at("etc/motd"), local.at("back.sh"));
    expect(await readFile(local.at("back.sh"), "utf8")).toBe("hello from the image\n");
  });

  it("are streamed in and out, of any length", async () => {
    await using host = await openBase({}, wrap);
    const { files } = host.sandbox;
    const piece = randomBytes(65_536);
    const sent = createHash("sha256");
    const source = Readable.from(
      (function* () {
        for (let left = 400; left > 0; left -= 1) {
          sent.update(piece);
          yield piece;
        }
      })(),
    );
    await pipeline(source, files.writeStream(host.at("big"), { mode: 0o600 }));
    const got = createHash("sha256");
    await pipeline(files.readStream(host.at("big")), got);
    expect(got.digest("hex")).toBe(sent.digest("hex"));
    expect(await files.stat(host.at("big"))).toMatchObject({ size: 26_214_400, mode: 0o600 });
  });

  it("say what is wrong", async () => {
    await using local = await tempDirectory();
    await using host = await openBase({}, wrap);
    const { files } = host.sandbox;
    const missing = { code: "NOT_FOUND" };
    await expect(buffer(files.readStream(host.at("nothing")))).rejects.toMatchObject(missing);
    await expect(files.download(host.at("nothing"), local.at("x"))).rejects.toMatchObject(missing);
    await expect(files.upload(local.at("nothing"), host.at("x"))).rejects.toMatchObject(missing);
    await expect(buffer(files.readStream(host.at("etc")))).rejects.toMatchObject({
      code: "IO_ERROR",
    });
    const garbage = Readable.from([Buffer.alloc(10_000, "x")]);
    await expect(files.unpackTar(garbage, host.at("x"))).rejects.toMatchObject({
      code: "IO_ERROR",
    });
    await expect(files.download("/", local.at("x"))).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
    expect(await readdir(local.at())).toEqual([]);
  });
});

describe("streams of files", () => {
  it("leave the old file when the writer gives up", async () => {
    await using host = await openBase();
    const { files } = host.sandbox;
    await files.write(host.at("a"), "old");
    const stream = files.writeStream(host.at("a"));
    const closed = new Promise((resolve) => stream.once("close", resolve));
    stream.on("error", () => undefined);
    stream.write("new, but not");
    stream.destroy(new Error("changed my mind"));
    await closed;
    expect(await files.readText(host.at("a"))).toBe("old");
    expect((await readdir(host.at("."))).toSorted()).toEqual(["a", "etc"]);
  });

  it("destroy the writer with what is wrong", async () => {
    await using host = await openBase();
    const stream = host.sandbox.files.writeStream(host.at("etc/motd/below"));
    const writing = pipeline(Readable.from(["x".repeat(1_000_000)]), stream);
    await expect(writing).rejects.toMatchObject({ code: /NOT_FOUND|IO_ERROR/ as never });
  });

  it("end their tool when the reader gives up, or the signal says so", async () => {
    await using host = await openBase();
    const { files, run } = host.sandbox;
    const endless = files.readStream("/dev/zero");
    const closed = new Promise((resolve) => endless.once("close", resolve));
    for await (const _chunk of endless) break;
    await closed;
    const abort = new AbortController();
    const reason = new Error("enough");
    const reading = buffer(files.readStream("/dev/zero", { signal: abort.signal }));
    abort.abort(reason);
    await expect(reading).rejects.toBe(reason);
    const { stdout } = await run(["pgrep", "-f", "^cat /dev/zero$", "-P", String(process.pid)]);
    expect(stdout).toBe("");
  });
});

describe("downloading", () => {
  it("needs a path that is free, or an empty directory", async () => {
    await using local = await tempDirectory();
    await using host = await openBase();
    const { files } = host.sandbox;
    await mkdir(local.at("empty"));
    await files.download(host.at("etc"), local.at("empty"));
    expect(await readdir(local.at("empty"))).toEqual(["motd"]);
    const conflict = { code: "STATE_CONFLICT" };
    await expect(files.download(host.at("etc"), local.at("empty"))).rejects.toMatchObject(conflict);
    await expect(files.download(host.at("etc/motd"), local.at("empty"))).rejects.toMatchObject(
      conflict,
    );
    expect(await readdir(local.at())).toEqual(["empty"]);
  });

  it("stops with the signal and leaves nothing", async () => {
    await using local = await tempDirectory();
    await using host = await openBase();
    const abort = new AbortController();
    const reason = new Error("enough");
    const downloading = host.sandbox.files.download(host.at("etc"), local.at("x"), {
      signal: abort.signal,
    });
    abort.abort(reason);
    await expect(downloading).rejects.toBe(reason);
    expect(await readdir(local.at())).toEqual([]);
  });

  it("refuses links that lead out, or leaves them out on demand", async () => {
    await using local = await tempDirectory();
    await using host = await openBase();
    const { files } = host.sandbox;
    await files.write(host.at("tree/file"), "x");
    await symlink("/etc/passwd", host.at("tree/out"));
    const refused = files.download(host.at("tree"), local.at("a"));
    await expect(refused).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    expect(await readdir(local.at())).toEqual([]);
    await files.download(host.at("tree"), local.at("a"), { unsafeEntries: "skip" });
    expect(await readdir(local.at("a"))).toEqual(["file"]);
  });

  it("refuses more than allowed", async () => {
    await using local = await tempDirectory();
    await using host = await openBase();
    const { files } = host.sandbox;
    await files.write(host.at("tree/a"), "x".repeat(2_000));
    await files.write(host.at("tree/b"), "x");
    const limit = { code: "LIMIT_EXCEEDED" };
    const from = host.at("tree");
    await expect(files.download(from, local.at("a"), { maxBytes: 2_000 })).rejects.toMatchObject(
      limit,
    );
    await expect(files.download(from, local.at("a"), { maxEntries: 2 })).rejects.toMatchObject(
      limit,
    );
    await files.download(from, local.at("a"), { maxBytes: 2_001, maxEntries: 3 });
    expect(await readdir(local.at())).toEqual(["a"]);
  });
});

/** An archive as nobody's tar would make it. */
function archive(
  entries: readonly (ConstructorParameters<typeof Header>[0] & { readonly content?: string })[],
): Readable {
  const blocks = entries.flatMap((entry) => {
    const { content = "", ...fields } = entry as Record<string, unknown> & { content?: string };
    const header = new Header({
      mode: 0o644,
      size: Buffer.byteLength(content),
      mtime: new Date(0),
      ...fields,
    });
    const block = Buffer.alloc(512);
    header.encode(block);
    const padded = Buffer.alloc(Math.ceil(content.length / 512) * 512);
    padded.write(content);
    return [block, padded];
  });
  return Readable.from([Buffer.concat([...blocks, Buffer.alloc(1_024)])]);
}

describe("a hostile archive", () => {
  const file = { type: "File", content: "evil" } as const;
  const link = { type: "SymbolicLink" } as const;

  it.each([
    ["an absolute name", [{ ...file, path: "/tmp/longshore-evil" }]],
    ["a name that goes up", [{ ...file, path: "./tree/../../evil" }]],
    ["a name beside the tree", [{ ...file, path: "./other" }]],
    ["an absolute link", [{ ...link, path: "./tree/l", linkpath: "/etc" }]],
    ["a link that goes up", [{ ...link, path: "./tree/l", linkpath: "../evil" }]],
    ["a link from deep down", [{ ...link, path: "./tree/a/b/l", linkpath: "../../../evil" }]],
    ["a link that goes down and up", [{ ...link, path: "./tree/l", linkpath: "a/../../evil" }]],
    [
      "a link through a link",
      [
        { ...link, path: "./tree/a", linkpath: "." },
        { ...link, path: "./tree/l", linkpath: "a/.." },
      ],
    ],
    ["a tree that is a link", [{ ...link, path: "./tree", linkpath: "evil" }]],
    ["a hard link out", [{ type: "Link", path: "./tree/l", linkpath: "/etc/passwd" } as const]],
    ["a hard link up", [{ type: "Link", path: "./tree/l", linkpath: "tree/../../x" } as const]],
    ["a device", [{ type: "CharacterDevice", path: "./tree/null", devmaj: 1, devmin: 3 } as const]],
    ["a pipe", [{ type: "FIFO", path: "./tree/pipe" } as const]],
  ])("is refused for %s, and nothing appears", async (_what, entries) => {
    await using local = await tempDirectory();
    await mkdir(local.at("room"));
    const root = { type: "Directory", path: "./tree", mode: 0o755 } as const;
    const hostile = archive([root, ...entries, { ...file, path: "./tree/after" }]);
    const unpacking = unpackTree(hostile, { name: "tree", to: local.at("room", "out") });
    await expect(unpacking).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    expect(await readdir(local.at())).toEqual(["room"]);
    expect(await readdir(local.at("room"))).toEqual([]);
  });

  it("writes through no link that it brought", async () => {
    await using local = await tempDirectory();
    const hostile = archive([
      { type: "Directory", path: "./tree/sub", mode: 0o755 },
      { ...link, path: "./tree/l", linkpath: "sub" },
      { ...file, path: "./tree/l/through" },
    ]);
    await unpackTree(hostile, { name: "tree", to: local.at("out") }).catch(() => undefined);
    const written = await readdir(local.at("out", "sub")).catch(() => []);
    expect(written).toEqual([]);
  });

  it("brings no set-id bits", async () => {
    await using local = await tempDirectory();
    const hostile = archive([
      { type: "Directory", path: "./tree", mode: 0o2777 },
      { ...file, path: "./tree/su", mode: 0o4755 },
    ]);
    await unpackTree(hostile, { name: "tree", to: local.at("out") });
    expect((await lstat(local.at("out"))).mode & 0o7000).toBe(0);
    expect((await lstat(local.at("out", "su"))).mode & 0o7777).toBe(0o755);
  });

  it("may break off", async () => {
    await using local = await tempDirectory();
    const whole = await buffer(
      archive([{ ...file, path: "./tree/a", content: "x".repeat(5_000) }]),
    );
    const cut = Readable.from([whole.subarray(0, 2_000)]);
    await expect(unpackTree(cut, { name: "tree", to: local.at("out") })).rejects.toMatchObject({
      code: "IO_ERROR",
    });
    expect(await readdir(local.at())).toEqual([]);
  });

  it("may be no archive at all", async () => {
    await using local = await tempDirectory();
    const self = createReadStream(import.meta.filename);
    await expect(unpackTree(self, { name: "tree", to: local.at("out") })).rejects.toMatchObject({
      code: "IO_ERROR",
    });
    expect(await readdir(local.at())).toEqual([]);
  });
});
