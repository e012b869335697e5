import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { removeDrafts, syncDirectory, writeWhole } from "../../src/files.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-files-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const draft = ".0b0b7a9e-7f0c-4c39-9d3c-3a4c5b6d7e8f.tmp";

describe("writeWhole", () => {
  it("makes a file that only its owner may read, or everybody when told so", async () => {
    await writeWhole(join(directory, "own"), "text");
    await writeWhole(join(directory, "all"), Buffer.from([0, 255]), { mode: 0o644 });
    expect(await readFile(join(directory, "own"), "utf8")).toBe("text");
    expect(await readFile(join(directory, "all"))).toEqual(Buffer.from([0, 255]));
    const modes = ["own", "all"].map(async (name) => (await stat(join(directory, name))).mode);
    expect((await Promise.all(modes)).map((mode) => mode & 0o777)).toEqual([0o600, 0o644]);
  });

  it("shows readers the old content or the new", async () => {
    const path = join(directory, "file");
    const contents = ["a", "b", "c", "d"].map((letter) => letter.repeat(300_000));
    await writeWhole(path, contents[0] ?? "");
    const writing = Promise.all(contents.map((content) => writeWhole(path, content)));
    for (let round = 0; round < 20; round += 1) {
      expect(contents).toContain(await readFile(path, "utf8"));
    }
    await writing;
    expect(await readdir(directory)).toEqual(["file"]);
  });

  it("leaves nothing when it cannot take the file's place", async () => {
    await mkdir(join(directory, "taken", "inside"), { recursive: true });
    await expect(writeWhole(join(directory, "taken"), "text")).rejects.toThrow(/EISDIR|ENOTEMPTY/);
    expect(await readdir(directory)).toEqual(["taken"]);
  });
});

describe("removeDrafts", () => {
  it("removes what was left an hour ago, and nothing else", async () => {
    const old = new Date(Date.now() - 3_601_000);
    for (const name of [draft, `a${draft}`, ".other.tmp"]) {
      await writeFile(join(directory, name), "");
      await utimes(join(directory, name), old, old);
    }
    const young = draft.replace("0b0b", "1c1c");
    await writeFile(join(directory, young), "");
    await removeDrafts(directory);
    expect((await readdir(directory)).toSorted()).toEqual(
      [`a${draft}`, ".other.tmp", young].toSorted(),
    );
    await removeDrafts(directory, 0);
    expect((await readdir(directory)).toSorted()).toEqual([`a${draft}`, ".other.tmp"].toSorted());
  });

  it("has nothing to do where there is no directory", async () => {
    await expect(removeDrafts(join(directory, "missing"))).resolves.toBeUndefined();
  });
});

describe("syncDirectory", () => {
  it("takes file systems that cannot sync a directory as they are", async () => {
    await expect(syncDirectory(directory)).resolves.toBeUndefined();
    await expect(syncDirectory("/proc")).resolves.toBeUndefined();
  });

  it("says when there is none", async () => {
    await expect(syncDirectory(join(directory, "missing"))).rejects.toThrow("ENOENT");
  });
});
