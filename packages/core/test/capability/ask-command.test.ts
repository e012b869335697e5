import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { askCommand } from "../../src/capability/ask-command.ts";
import { commandFolder } from "./command-folder.ts";

/** Long enough for any command that ends, however busy the machine */
const timeoutMs = 20_000;
const path = process.env["PATH"] ?? "";
/** Writes the ids of itself and of a child that would run for long, then does the rest */
const withChild = (rest: string) => `/bin/sleep 600 & echo "$$ $!" > "$1"; ${rest}`;

/** What a dead process leaves until somebody asks for its end counts as dead. */
function isAlive(pid: number): boolean {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  const state = stdout.trim();
  return state !== "" && !state.startsWith("Z");
}

/** The process ids that a script of {@link withChild} wrote. */
async function pidsIn(file: string): Promise<readonly number[]> {
  return vi.waitFor(
    async () => {
      const pids = (await readFile(file, "utf8")).trim().split(" ").map(Number);
      expect(pids).toHaveLength(2);
      return pids;
    },
    { timeout: 20_000 },
  );
}

describe("a command that answers", () => {
  it("gives what it prints on both outputs", async () => {
    await using folder = await commandFolder();
    const file = await folder.add("tool", 'echo "out $1"; echo "err $2" >&2');
    const output = await askCommand(file, ["a b", "$HOME;`id`"], { path, timeoutMs });
    expect(output?.split("\n").toSorted()).toEqual(["", "err $HOME;`id`", "out a b"]);
  });

  it("is asked in a neutral place, in English, and with its own PATH", async () => {
    await using folder = await commandFolder();
    const file = await folder.add("tool", 'echo "$(pwd) $LC_ALL $GOTOOLCHAIN $PATH"');
    const output = await askCommand(file, [], { path: "/nowhere", timeoutMs });
    expect(output).toBe("/ C local /nowhere\n");
  });

  it("gets nothing to read, so that it cannot wait for it", async () => {
    await using folder = await commandFolder();
    const file = await folder.add("tool", 'read line; echo "read: $line"');
    expect(await askCommand(file, [], { path, timeoutMs })).toBe("read: \n");
  });

  it("gives the first 64 KiB when it prints much more", async () => {
    await using folder = await commandFolder();
    const file = await folder.add("tool", "echo first; /usr/bin/head -c 5000000 /dev/zero");
    const output = await askCommand(file, [], { path, timeoutMs });
    expect(output).toHaveLength(65_536);
    expect(output?.startsWith("first\n\0")).toBe(true);
  });

  it("may print bytes that are no text", async () => {
    await using folder = await commandFolder();
    const file = await folder.add("tool", String.raw`printf '\377\376\000 v1.2'`);
    expect(await askCommand(file, [], { path, timeoutMs })).toBe("��\0 v1.2");
  });
});

describe("no answer", () => {
  it.each([
    ["a command that fails", "echo v1.2.3; exit 3"],
    ["a command that a signal ends", "echo v1.2.3; kill -9 $$"],
  ])("comes from %s", async (_what, script) => {
    await using folder = await commandFolder();
    const file = await folder.add("tool", script);
    expect(await askCommand(file, [], { path, timeoutMs })).toBeUndefined();
  });

  it("comes from a file that is not there, or cannot be run", async () => {
    await using folder = await commandFolder();
    const locked = await folder.add("locked", "echo v1", 0o644);
    const asking = { path, timeoutMs };
    expect(await askCommand(join(folder.path, "absent"), [], asking)).toBeUndefined();
    expect(await askCommand(locked, [], asking)).toBeUndefined();
  });

  it("comes from a command that hangs, and nothing of it is left", async () => {
    await using folder = await commandFolder();
    const file = await folder.add("tool", withChild("echo v1.2.3; wait"));
    const notes = join(folder.path, "pids");
    const asking = askCommand(file, [notes], { path, timeoutMs: 500 });
    const pids = await pidsIn(notes);
    expect(await asking).toBeUndefined();
    await vi.waitFor(
      () => {
        expect(pids.filter(isAlive)).toEqual([]);
      },
      { timeout: 20_000 },
    );
  });

  it("comes from a command that never stops printing, and nothing of it is left", async () => {
    await using folder = await commandFolder();
    const file = await folder.add("tool", 'echo "$$ $$" > "$1"; while :; do echo v1.2.3; done');
    const notes = join(folder.path, "pids");
    const before = process.memoryUsage.rss();
    const asking = askCommand(file, [notes], { path, timeoutMs: 500 });
    const pids = await pidsIn(notes);
    expect(await asking).toBeUndefined();
    await vi.waitFor(
      () => {
        expect(pids.filter(isAlive)).toEqual([]);
      },
      { timeout: 20_000 },
    );
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 1_048_576);
  });

  it("comes from a command whose child holds on to the output", async () => {
    await using folder = await commandFolder();
    const file = await folder.add("tool", withChild("echo v1.2.3"));
    const notes = join(folder.path, "pids");
    expect(await askCommand(file, [notes], { path, timeoutMs: 500 })).toBeUndefined();
    const [, child = 0] = await pidsIn(notes);
    await vi.waitFor(
      () => {
        expect(isAlive(child)).toBe(false);
      },
      { timeout: 20_000 },
    );
  });

  it("comes at once when the signal aborts, and nothing of the command is left", async () => {
    await using folder = await commandFolder();
    const file = await folder.add("tool", withChild("wait"));
    const notes = join(folder.path, "pids");
    const controller = new AbortController();
    const asking = askCommand(file, [notes], { path, timeoutMs, signal: controller.signal });
    const pids = await pidsIn(notes);
    controller.abort();
    expect(await asking).toBeUndefined();
    await vi.waitFor(
      () => {
        expect(pids.filter(isAlive)).toEqual([]);
      },
      { timeout: 20_000 },
    );
  });

  it("comes without starting anything when the signal has aborted", async () => {
    await using folder = await commandFolder();
    const notes = join(folder.path, "started");
    const file = await folder.add("tool", 'echo > "$1"');
    const signal = AbortSignal.abort();
    expect(await askCommand(file, [notes], { path, timeoutMs, signal })).toBeUndefined();
    await expect(readFile(notes)).rejects.toThrow("ENOENT");
  });
});
