import { mkdir, rename, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { scanDirectory, type ScannedFile } from "../../src/commit/scan-directory.ts";
import { run, temporaryDirectory, type TemporaryDirectory } from "../registry/sample-image.ts";

let place: TemporaryDirectory;
let root: string;
/** More than pipes hold: who writes it waits for who reads */
const large = Buffer.alloc(20_000_000, 7);

beforeEach(async () => {
  place = await temporaryDirectory();
  root = join(place.path, "root");
  await mkdir(root);
});

afterEach(() => place[Symbol.asyncDispose]());

const options = { maxEntries: 1_000 };

/** Looks at all names; at the first one of that path, something happens. */
async function scan(at?: string, change?: () => Promise<unknown>): Promise<readonly string[]> {
  const seen: string[] = [];
  for await (const { kind, path } of scanDirectory(root, options)) {
    seen.push(`${kind} ${path}`);
    if (path === at) await change?.();
  }
  return seen;
}

describe("a scan of a directory", () => {
  it("tells of every name once, directories first, in byte order", async () => {
    await run(
      "sh",
      "-ec",
      'cd "$0"; mkdir b a a/sub; : > a/sub/x; : > b/y; : > c; ln -s c d',
      root,
    );
    expect(await scan()).toEqual([
      "directory .",
      "directory a",
      "directory b",
      "file c",
      "symlink d",
      "directory a/sub",
      "file a/sub/x",
      "file b/y",
    ]);
  });

  it("gives the bytes of files with their holes, or passes over them", async () => {
    await run(
      "sh",
      "-ec",
      'cd "$0"; truncate -s 3G a; printf end >> a; : > b; printf text > c',
      root,
    );
    const contents = new Map<string, string>();
    for await (const file of scanDirectory(root, options)) {
      if (file.kind !== "file" || file.path === "b") continue;
      contents.set(file.path, await summary(file));
    }
    expect(contents.get("a")).toMatch(/^holes 3221225472, data \d+ 656e64$|^holes 32212254\d\d/);
    expect(contents.get("c")).toBe("holes 0, data 4 74657874");
  });

  it("fails when a file gets shorter while it is read", async () => {
    const path = join(root, "file");
    await writeFile(path, large);
    await expect(scan("file", () => truncate(path, 1_000))).rejects.toMatchObject({
      code: "STATE_CONFLICT",
    });
  });

  it("never goes where a directory's name leads that was a directory before", async () => {
    const secret = join(place.path, "secret");
    await mkdir(secret);
    await writeFile(join(secret, "key"), "secret");
    await mkdir(join(root, "a"));
    await mkdir(join(root, "b"));
    await writeFile(join(root, "a/large"), large);
    const swap = async (): Promise<void> => {
      await rename(join(root, "b"), join(root, "a/b"));
      await symlink(secret, join(root, "b"));
    };
    await expect(scan("a/large", swap)).rejects.toMatchObject({ code: "STATE_CONFLICT" });
  });

  it("does not enter what is mounted in it", async () => {
    await mkdir(join(root, "mnt"));
    await run("mount", "-t", "tmpfs", "none", join(root, "mnt"));
    try {
      await expect(scan()).rejects.toMatchObject({ code: "IO_ERROR", details: { errno: "EXDEV" } });
    } finally {
      await run("umount", join(root, "mnt"));
    }
  });

  it("is bounded, and can be left and aborted at any point", async () => {
    await run("sh", "-ec", 'cd "$0"; for n in $(seq 50); do : > $n; done', root);
    const tooMany = async (): Promise<void> => {
      for await (const _file of scanDirectory(root, { maxEntries: 49 }));
    };
    await expect(tooMany()).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
      details: { limit: "maxEntries" },
    });
    for await (const { path } of scanDirectory(root, options)) if (path === "7") break;
    await writeFile(join(root, "large"), large);
    const abort = new AbortController();
    const aborted = scanDirectory(root, { ...options, signal: abort.signal });
    const reason = new Error("enough");
    await expect(
      (async () => {
        for await (const { path } of aborted) if (path === "large") abort.abort(reason);
      })(),
    ).rejects.toBe(reason);
  });
});

async function summary({ content }: ScannedFile): Promise<string> {
  let [holes, data] = [0, 0];
  let first = "";
  for await (const piece of content) {
    if (piece.kind === "hole") holes += piece.size;
    else {
      data += piece.bytes.length;
      first ||= piece.bytes.subarray(0, 4).toString("hex");
    }
  }
  return `holes ${holes}, data ${data} ${first}`;
}
