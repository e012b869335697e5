import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, realpath, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openInRoot, pathsInRoot, readInRoot } from "../../src/spec/open-in-root.ts";
import { tempDir, type TempDir } from "./temp-dir.ts";

let place: TempDir;
let root: string;
beforeEach(async () => {
  place = await tempDir();
  root = join(place.path, "rootfs");
  await mkdir(root);
});
afterEach(() => place[Symbol.asyncDispose]());

describe("paths in a root filesystem", () => {
  it("agree with the kernel's own view from the root", async () => {
    await mkdir(join(root, "a/b/c"), { recursive: true });
    await writeFile(join(root, "a/file"), "");
    await symlink("b/c", join(root, "a/rel"));
    await symlink("/a/../../../a/b", join(root, "abs"));
    await symlink("../../abs/./c/../..", join(root, "a/b/back"));
    const cases = {
      "/a/rel": "/a/b/c",
      "/abs/c": "/a/b/c",
      "/a/b/back/file": "/a/file",
      "/../../..": "/",
      "/a/missing/../b": "/a/b",
      "/abs/new/dir": "/a/b/new/dir",
      "/a/file/x": "/a/file/x",
    };
    for (const [given, expected] of Object.entries(cases)) {
      using entry = await openInRoot(root, given);
      expect(entry.path).toBe(expected);
    }
    if (process.getuid?.() === 0) {
      const chroot = "/a/rel /abs/c /a/b/back/file".split(" ");
      for (const name of chroot) {
        const command = `chroot ${JSON.stringify(root)}; print -e "${name}" ? 1 : 0`;
        expect(execFileSync("perl", ["-e", command]).toString()).toBe("1");
      }
    }
  });

  it("lead, by name in a directory, where the whole path leads", async () => {
    const names = ["file", "missing", "b", "up", "away"];
    await mkdir(join(root, "a/b"), { recursive: true });
    await writeFile(join(root, "a/file"), "");
    await symlink("/a", join(root, "abs"));
    await symlink("../a/file", join(root, "a/up"));
    await symlink("/missing/../a", join(root, "a/away"));
    for (const directory of ["/a", "/abs", "/missing", "/a/file"]) {
      const whole: string[] = [];
      for (const name of names) {
        using entry = await openInRoot(root, `${directory}/${name}`);
        whole.push(entry.path);
      }
      expect(await pathsInRoot(root, directory, names)).toEqual(whole);
    }
    expect(await pathsInRoot(root, "/a", ["up", "missing"])).toEqual(["/a/file", "/a/missing"]);
  });

  it("never lead out of it, whatever links there are", async () => {
    const name = fc.constantFrom("a", "b", "c");
    const step = fc.constantFrom("a", "b", "c", "..", ".", "");
    const target = fc.tuple(fc.boolean(), fc.array(step, { minLength: 1, maxLength: 6 }));
    const entries = fc.array(fc.tuple(name, name, target), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(entries, fc.array(step, { maxLength: 6 }), async (links, steps) => {
        await using tree = await tempDir();
        for (const [directory, link, [isAbsolute, parts]] of links) {
          await mkdir(join(tree.path, directory), { recursive: true });
          const text = `${isAbsolute ? "/" : ""}${parts.join("/") || "."}`;
          await symlink(text, join(tree.path, directory, link)).catch(ignoreExisting);
        }
        try {
          using entry = await openInRoot(tree.path, `/${steps.join("/")}`);
          // What exists is there without links; what does not is named below something that is.
          if (entry.fd === undefined) return;
          expect(await realpath(join(tree.path, entry.path))).toBe(
            entry.path === "/" ? tree.path : join(tree.path, entry.path),
          );
        } catch (error) {
          expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
        }
      }),
      { numRuns: 200 },
    );
  });

  it("never lead out of it while a container changes them", async () => {
    await mkdir(join(place.path, "outside"));
    await mkdir(join(root, "in"));
    await writeFile(join(place.path, "outside/passwd"), "outside");
    await writeFile(join(root, "in/passwd"), "inside");
    await symlink("../outside", join(root, "out"));
    const swap = `$| = 1; chdir $ARGV[0]; print "ready\n";
      while (1) { rename "in", "x"; rename "out", "in"; rename "in", "out"; rename "x", "in" }`;
    const child = spawn("perl", ["-e", swap, root], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await once(child.stdout, "data");
      const seen = new Set<string | undefined>();
      for (let round = 0; round < 500; round++) {
        seen.add(await readInRoot(root, "/in/passwd", 100));
      }
      expect(seen.has("outside")).toBe(false);
      expect(seen.has("inside")).toBe(true);
    } finally {
      child.kill("SIGKILL");
      await once(child, "close");
    }
  });
});

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== "EEXIST" && error.code !== "ENOENT") throw error;
}
