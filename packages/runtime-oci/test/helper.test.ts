import { constants } from "node:fs";
import {
  access,
  copyFile,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import {
  canRun,
  command,
  openMachine,
  run,
  text,
  type TestMachine,
} from "./fixtures/test-machine.ts";
import { tempDir } from "./spec/temp-dir.ts";

describe.skipIf(!canRun)("the helper of a driver (needs root, runc and busybox)", () => {
  let machine: TestMachine;
  beforeAll(async () => {
    machine = await openMachine();
  });
  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
  });

  /** Helpers that this program has started. */
  const helpers = async (): Promise<number[]> => {
    const { stdout } = await run("ps", ["--ppid", String(process.pid), "-o", "pid=,args="]);
    return stdout
      .split("\n")
      .filter((line) => line.includes("longshore-helper"))
      .map((line) => Number.parseInt(line, 10));
  };

  it("may be killed at any time: what it started goes on, and a new one starts the rest", async () => {
    const sandbox = await machine.prepare();
    const first = await sandbox.start(
      await machine.containerSpec("read x; exit $x", { process: { stdin: true } }),
    );
    for (const pid of await helpers()) process.kill(pid, "SIGKILL");
    const second = await sandbox.start(await machine.containerSpec("exit 4"));
    expect(await second.exit).toMatchObject({ exitCode: 4 });
    const echo = await first.exec(command("echo still here"));
    expect(await text(echo.stdout)).toBe("still here\n");
    await using session = await first.attach({ stdin: true });
    await session.stdin.write("7\n");
    expect(await first.exit).toMatchObject({ exitCode: 7 });
    for (const pid of await helpers()) process.kill(pid, "SIGKILL");
    await sandbox.teardown();
    expect(await machine.leftovers()).toEqual([]);
  });

  it("is one however much is asked of it at once, and ends with the driver", async () => {
    const other = await openMachine();
    const before = await helpers();
    const sandboxes = await Promise.all(Array.from({ length: 8 }, async () => other.prepare()));
    const made = (await helpers()).filter((pid) => !before.includes(pid));
    expect(made).toHaveLength(1);
    await Promise.all(sandboxes.map(async (sandbox) => sandbox.teardown()));
    await other.driver[Symbol.asyncDispose]();
    await expect
      .poll(async () => (await helpers()).filter((pid) => made.includes(pid)), { timeout: 20_000 })
      .toEqual([]);
    expect(await readdir(join(other.path, "state"))).not.toContainEqual(
      expect.stringMatching(/^helper-/),
    );
    await other[Symbol.asyncDispose]();
  });

  it("gives process 1 nothing that it has open, and a program that nobody can write to", async () => {
    const spec = await machine.sandboxSpec();
    const sandbox = await machine.driver.prepare(spec);
    const procs = `/sys/fs/cgroup/freezer/longshore/${spec.id}/init/cgroup.procs`;
    // Who made it may still be on the way out.
    const pid = await vi.waitFor(
      async () => {
        const [, alone] = /^(\d+)\n$/.exec(await readFile(procs, "utf8")) ?? [];
        if (alone === undefined) throw new Error("several processes");
        return alone;
      },
      { timeout: 20_000 },
    );
    await expect(access(`/proc/${pid}/exe`, constants.W_OK)).rejects.toMatchObject({
      code: "EROFS",
    });
    const names = await readdir(`/proc/${pid}/fd`);
    const open = await Promise.all(names.map(async (fd) => readlink(`/proc/${pid}/fd/${fd}`)));
    // Its socket, and those connected to it; what was open in the helper is closed.
    expect(open.filter((path) => !path.startsWith("socket:") && !path.endsWith("/null"))).toEqual(
      [],
    );
    expect(open.filter((path) => path.startsWith("socket:")).length).toBeLessThanOrEqual(2);
    const variables = await readFile(`/proc/${pid}/environ`, "utf8");
    expect(variables).not.toContain("PATH=");
    await sandbox.teardown();
  });

  it("runs the OCI runtime out of memory, as long as the file is the one that was read", async () => {
    await using directory = await tempDir();
    const place = join(directory.path, "bin");
    const binary = join(place, "runc-copy");
    await mkdir(place);
    await copyFile("/usr/sbin/runc", binary);
    await run("mount", ["--bind", place, place]);
    try {
      await using other = await openMachine(binary);
      const sandbox = await other.prepare();
      await run("mount", ["-o", "remount,bind,noexec", place]);
      const container = await sandbox.start(await other.containerSpec("exit 5"));
      expect(await container.exit).toMatchObject({ exitCode: 5 });
      await run("mount", ["-o", "remount,bind,exec", place]);
      await writeFile(`${binary}.new`, "#!/bin/sh\necho replaced >&2; exit 1\n", { mode: 0o755 });
      await rename(`${binary}.new`, binary);
      await expect(sandbox.start(await other.containerSpec("exit 6"))).rejects.toThrow(/replaced/);
    } finally {
      await run("umount", [place]);
    }
  });
});
