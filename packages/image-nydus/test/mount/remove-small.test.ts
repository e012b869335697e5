import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { removeSmall } from "../../src/mount/remove-small.ts";

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0 || process.env["CI"] === "true";

let place: string;
let path: string;
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), "longshore-remove-"));
  path = join(place, "tree");
});
afterEach(() => rm(place, { recursive: true, force: true }));

describe("a directory with little in it", () => {
  it("goes with all of it, and nothing that a link leads to", async () => {
    const outside = join(place, "outside");
    await mkdir(join(path, "one", "two"), { recursive: true });
    await mkdir(outside);
    await writeFile(join(outside, "file"), "stays");
    await writeFile(join(path, "one", "file"), "goes");
    await symlink(outside, join(path, "link"));
    expect(await removeSmall(path)).toBe(true);
    expect(existsSync(path)).toBe(false);
    expect(await readdir(outside)).toEqual(["file"]);
    expect(await removeSmall(path)).toBe(true);
  });

  it("is left to others when there is more", async () => {
    await mkdir(path);
    for (let index = 0; index < 100; index += 1) await writeFile(join(path, `${index}`), "");
    expect(await removeSmall(path)).toBe(false);
    expect(await readdir(path)).toHaveLength(100);
  });

  it.skipIf(!isRoot)("is left to others when something is mounted there (needs root)", async () => {
    const source = join(place, "source");
    await mkdir(join(path, "mounted"), { recursive: true });
    await mkdir(source);
    await writeFile(join(source, "file"), "stays");
    // Of the same filesystem, so that only the kernel knows that it is one.
    await run("mount", ["--bind", source, join(path, "mounted")]);
    try {
      expect(await removeSmall(path)).toBe(false);
      expect(await readdir(source)).toEqual(["file"]);
    } finally {
      await run("umount", [join(path, "mounted")]);
    }
    expect(await removeSmall(path)).toBe(true);
  });
});
