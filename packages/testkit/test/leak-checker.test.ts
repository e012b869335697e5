import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, rmdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { leakChecker, type Leak, type LeakCheckerOptions } from "../src/index.ts";

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const hasNft = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"].some((path) => existsSync(path));

let directory: string;
/** In the name of everything a test makes: other tests of this machine have others */
let mark: string;
/** What undoes a test's leak */
let undo: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-leaks-"));
  mark = `longshore-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
});
afterEach(async () => {
  for (const step of undo.toReversed()) await step();
  undo = [];
  await rm(directory, { recursive: true, force: true });
});

function checker(options: LeakCheckerOptions = {}) {
  return leakChecker({ marks: [mark], roots: [directory], settleMs: 300, ...options });
}

async function leaked(
  leak: () => Promise<void>,
  options: LeakCheckerOptions = {},
): Promise<readonly Leak[]> {
  const before = await checker(options);
  await leak();
  return before.leaks();
}

describe("leakChecker", () => {
  test("finds nothing where nothing was left", async () => {
    const before = await checker({ directories: [directory] });
    await run("sh", ["-c", "true"]);
    await writeFile(join(directory, "short"), "");
    await rm(join(directory, "short"));
    expect(await before.leaks()).toEqual([]);
  });

  test("waits for what is still going away", async () => {
    const before = await checker({ settleMs: 10_000 });
    const child = spawn("sleep", ["0.4"]);
    const ended = once(child, "exit");
    expect(await before.leaks()).toEqual([]);
    await ended;
  });

  test("does not count what was there before", async () => {
    const child = spawn("sleep", ["1000"]);
    undo.push(async () => {
      child.kill("SIGKILL");
      await once(child, "exit");
    });
    await once(child, "spawn");
    expect(await (await checker()).leaks()).toEqual([]);
  });

  test("names a child process", async () => {
    const found = await leaked(async () => {
      const child = spawn("sleep", ["1234"]);
      undo.push(async () => {
        child.kill("SIGKILL");
        await once(child, "exit");
      });
      await once(child, "spawn");
    });
    expect(found).toMatchObject([{ kind: "process", text: expect.stringContaining("sleep 1234") }]);
  });

  test("names a process that left its parent", async () => {
    const found = await leaked(async () => {
      const { stdout } = await run("sh", ["-c", "setsid sleep 1235 > /dev/null 2>&1 & echo $!"]);
      undo.push(async () => process.kill(Number(stdout), "SIGKILL"));
    });
    expect(found).toMatchObject([{ kind: "process", text: expect.stringContaining("sleep 1235") }]);
  });

  test("names a process with an environment of its own that works below a root", async () => {
    const found = await leaked(async () => {
      const script = "cd $0 && setsid env -i sleep 1236 > /dev/null 2>&1 & echo $!";
      const { stdout } = await run("sh", ["-c", script, directory]);
      undo.push(async () => process.kill(Number(stdout), "SIGKILL"));
    });
    expect(found).toMatchObject([{ kind: "process", text: expect.stringContaining("sleep 1236") }]);
  });

  test("does not count a process that somebody else started", async () => {
    // Started before, it stands for another program of the machine.
    const other = spawn("sh", ["-c", "read line; sleep 1237"], {
      env: { PATH: "/usr/bin:/bin" },
      detached: true,
    });
    undo.push(async () => process.kill(-(other.pid ?? 0), "SIGKILL"));
    const before = await checker({ ancestorPid: 999_999_999 });
    other.stdin.write("go\n");
    expect(await before.leaks()).toEqual([]);
  });

  test("names an entry of a directory", async () => {
    const path = join(directory, "left");
    const found = await leaked(() => mkdir(path).then(() => undefined), {
      directories: [directory],
    });
    expect(found).toMatchObject([{ kind: "directory entry", text: path }]);
  });

  test.skipIf(!isRoot)("names a mount below a root", async () => {
    const found = await leaked(async () => {
      await run("mount", ["-t", "tmpfs", "none", directory]);
      undo.push(() => run("umount", [directory]));
    });
    expect(found).toMatchObject([{ kind: "mount", text: `tmpfs at ${directory}` }]);
  });

  test.skipIf(!isRoot)("names a network namespace that is kept by a mount", async () => {
    const found = await leaked(async () => {
      await run("ip", ["netns", "add", mark]);
      undo.push(() => run("ip", ["netns", "delete", mark]));
    });
    expect(found).toMatchObject([
      { kind: "network namespace", text: expect.stringContaining(`/netns/${mark}`) },
    ]);
  });

  test.skipIf(!isRoot)("names both ends of a veth pair", async () => {
    const [one, two] = [`lk${process.pid}a`, `lk${process.pid}b`];
    const found = await leaked(
      async () => {
        await run("ip", ["link", "add", one, "type", "veth", "peer", "name", two]);
        undo.push(() => run("ip", ["link", "delete", one]));
      },
      { linkPrefixes: [`lk${process.pid}`] },
    );
    expect(found.map(({ text }) => text).toSorted()).toEqual([one, two]);
    expect(found.map(({ kind }) => kind)).toEqual(["network interface", "network interface"]);
  });

  test.skipIf(!isRoot || !hasNft)("names an nft table, and a rule in it", async () => {
    const table = mark.replaceAll("-", "_");
    const found = await leaked(
      async () => {
        await run("nft", ["add", "table", "inet", table]);
        undo.push(() => run("nft", ["delete", "table", "inet", table]));
        await run("nft", ["add", "chain", "inet", table, "c"]);
        await run("nft", ["add", "rule", "inet", table, "c", "counter", "accept"]);
      },
      { marks: [table] },
    );
    expect(found.map(({ kind }) => kind)).toEqual(["nft rule", "nft rule", "nft rule"]);
    expect(found[0]?.text).toContain(table);
  });

  test.skipIf(!isRoot)("names a cgroup, and a process in it", async () => {
    const parent = existsSync("/sys/fs/cgroup/pids") ? "/sys/fs/cgroup/pids" : "/sys/fs/cgroup";
    const cgroup = join(parent, mark);
    const found = await leaked(
      async () => {
        await mkdir(cgroup);
        undo.push(() => rmdir(cgroup));
        const child = spawn("sleep", ["1238"], { env: {}, detached: true });
        await once(child, "spawn");
        await writeFile(join(cgroup, "cgroup.procs"), String(child.pid));
        undo.push(async () => {
          child.kill("SIGKILL");
          await once(child, "exit");
        });
      },
      // Its parent does not make it ours.
      { ancestorPid: 999_999_999 },
    );
    expect(found.map(({ kind }) => kind).toSorted()).toEqual(["cgroup", "process"]);
    expect(found.map(({ text }) => text).join()).toContain(cgroup);
  });

  test.skipIf(!isRoot)("names a loop device", async () => {
    const file = join(directory, "disk");
    await writeFile(file, Buffer.alloc(1_048_576));
    const found = await leaked(async () => {
      const { stdout } = await run("losetup", ["--find", "--show", file]);
      undo.push(() => run("losetup", ["--detach", stdout.trim()]));
    });
    expect(found).toMatchObject([{ kind: "loop device", text: expect.stringContaining(file) }]);
  });

  test("names each thing in its error", async () => {
    const before = await checker({ directories: [directory], settleMs: 0 });
    await mkdir(join(directory, "one"));
    await mkdir(join(directory, "two"));
    await expect(before.check()).rejects.toThrow(
      /^left behind:\n {2}directory entry .*one\n {2}directory entry .*two$/,
    );
  });
});
