import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { removeKnown, removeTree } from "../src/records/remove-tree.ts";

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0 || process.env["CI"] === "true";
const content = { files: ["note"], directories: ["driver", "containers"] };

let place: string;
let path: string;
beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), "longshore-records-"));
  path = join(place, "record");
  await mkdir(join(path, "driver"), { recursive: true });
});
afterEach(() => rm(place, { recursive: true, force: true }));

describe("the directory of a record", () => {
  it("goes with what is known to be in it, whether all of that is there or not", async () => {
    await writeFile(join(path, "note"), "");
    expect(await removeKnown(path, content)).toBe(true);
    expect(existsSync(path)).toBe(false);
    expect(await removeKnown(path, content)).toBe(true);
  });

  it("is left to a closer look with anything else", async () => {
    await writeFile(join(path, "driver", "file"), "");
    expect(await removeKnown(path, content)).toBe(false);
    expect(await readdir(join(path, "driver"))).toEqual(["file"]);
    await removeTree(path);
    expect(existsSync(path)).toBe(false);
  });

  it.skipIf(!isRoot)("stays while something is mounted in it (needs root)", async () => {
    const source = join(place, "source");
    await mkdir(source);
    await writeFile(join(source, "file"), "stays");
    await run("mount", ["--bind", source, join(path, "driver")]);
    try {
      expect(await removeKnown(path, content)).toBe(false);
      await expect(removeTree(path)).rejects.toMatchObject({ code: "IO_ERROR" });
      expect(await readdir(source)).toEqual(["file"]);
    } finally {
      await run("umount", [join(path, "driver")]);
    }
    expect(await removeKnown(path, content)).toBe(true);
  });
});
