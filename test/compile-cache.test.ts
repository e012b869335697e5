import { execFile } from "node:child_process";
import { chown, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { longshoreCommand } from "./fixtures/longshore.ts";

const execute = promisify(execFile);
/** Root's would be a directory of the machine. */
const nobody = 65_534;
const user = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : undefined;

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-cache-"));
  if (user !== undefined) await chown(directory, user.uid, user.gid);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function version(cache: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const { stdout } = await execute(process.execPath, [longshoreCommand, "--version"], {
    env: { PATH: process.env["PATH"], HOME: "/nonexistent", XDG_CACHE_HOME: cache, ...env },
    ...user,
  });
  return stdout;
}

async function filesBelow(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

describe("what V8 compiled of the command", () => {
  it("is kept for its next start, for nobody else to read or write", async () => {
    const first = await version(directory);
    const kept = await filesBelow(join(directory, "longshore", "compiled"));
    expect(kept.length).toBeGreaterThan(1);
    expect((await stat(join(directory, "longshore"))).mode & 0o077).toBe(0);
    expect(await version(directory)).toBe(first);
    expect(await filesBelow(join(directory, "longshore", "compiled"))).toEqual(kept);
  });

  it("is not kept where nobody wants it, or where nothing can be written", async () => {
    expect(await version(directory, { NODE_DISABLE_COMPILE_CACHE: "1" })).toMatch(/^\d/);
    expect(await readdir(directory)).toEqual([]);
    expect(await version("/proc/none")).toMatch(/^\d/);
  });
});
