import { basename, dirname } from "node:path";
import { readdir, readFile, rename, stat } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { DriverContainer, DriverSandbox } from "@longshore/core";
import {
  canRun,
  command,
  logText,
  openMachine,
  text,
  type ContainerOptions,
  type TestMachine,
} from "./fixtures/test-machine.ts";

describe.skipIf(!canRun).each(["runc", "crun"])("containers through %s (needs root)", (binary) => {
  let machine: TestMachine;
  let sandbox: DriverSandbox;
  beforeAll(async () => {
    machine = await openMachine(binary);
    sandbox = await machine.prepare();
  });
  afterAll(async () => {
    await sandbox.teardown();
    const left = await machine.leftovers();
    await machine[Symbol.asyncDispose]();
    if (left.length > 0) throw new Error(`left on the machine: ${left.join("; ")}`);
  });
  const start = async (
    argv: string | readonly string[],
    options?: ContainerOptions,
  ): Promise<{ container: DriverContainer; log: string }> => {
    const spec = await machine.containerSpec(argv, options);
    return { container: await sandbox.start(spec), log: spec.log?.path ?? "" };
  };

  it("tells exit codes and writes the log with both streams", async () => {
    const { container, log } = await start("echo out; echo err >&2; exit 7");
    const exit = await container.exit;
    expect(exit).toMatchObject({ exitCode: 7, isOomKilled: false });
    expect(exit.signal).toBeUndefined();
    expect(Number(exit.finishedAt / 1_000_000n)).toBeGreaterThan(Date.now() - 60_000);
    expect(await logText(log, "stdout")).toBe("out\n");
    expect(await logText(log, "stderr")).toBe("err\n");
    await container.remove();
    await container.remove();
  });

  it("removes a container without what belongs to one whose id begins like its own", async () => {
    const spec = await machine.containerSpec("sleep 100");
    const other = await machine.containerSpec("sleep 100", { spec: { id: `${spec.id}_2` } });
    const [container, neighbour] = await Promise.all([sandbox.start(spec), sandbox.start(other)]);
    await container.remove();
    expect(await text((await neighbour.exec(command("echo here"))).stdout)).toBe("here\n");
    await neighbour.remove();
  });

  it.each(["SIGTERM", "SIGKILL", "SIGRTMIN+3", "SIGSEGV"] as const)(
    "tells that %s ended a process",
    async (signal) => {
      const spec = await machine.containerSpec("sleep 100", {
        config: { linux: { securityContext: { namespaceOptions: { pid: "pod" } } } },
        process: { argv: ["sleep", "100"] },
      });
      const container = await sandbox.start(spec);
      await container.signal(signal);
      expect(await container.exit).toMatchObject({ signal, exitCode: expect.any(Number) });
      // No error when it has ended.
      await container.signal(signal);
      await container.remove();
    },
  );

  it("lets a process handle a signal, and ends one that ignores it with everything it started", async () => {
    const { container, log } = await start(
      "trap '' TERM; sh -c 'trap \"\" TERM; sleep 100' & setsid sleep 100 & echo ready; wait",
    );
    await sandbox.check(await machine.containerSpec("true"));
    await vi.waitFor(async () => expect(await logText(log, "stdout")).toBe("ready\n"), {
      timeout: 20_000,
    });
    await container.signal("SIGTERM");
    await container.signal("SIGKILL");
    expect(await container.exit).toMatchObject({ exitCode: 137, signal: "SIGKILL" });
    await container.remove();
  });

  it("takes arguments that look like options for what they are", async () => {
    const { container, log } = await start(["echo", "--root", "-n", "--", "$HOME", "a\nb"]);
    await container.exit;
    expect(await logText(log, "stdout")).toBe("--root -n -- $HOME a\nb\n");
    await container.remove();
  });

  it("says that a program is missing, and leaves nothing", async () => {
    const spec = await machine.containerSpec(["no-such-program"]);
    await expect(sandbox.start(spec)).rejects.toMatchObject({
      code: "EXECUTION_ERROR",
      message: expect.stringContaining("no-such-program"),
    });
    expect(await machine.leftovers()).not.toContainEqual(expect.stringContaining(spec.id));
    const directory = machine.directoryOf(sandbox, spec.id);
    expect(await readdir(dirname(directory))).not.toContain(basename(directory));
  });

  it("leaves nothing when a start is aborted", async () => {
    const spec = await machine.containerSpec("sleep 100");
    const abort = new AbortController();
    const starting = sandbox.start(spec, { signal: abort.signal });
    const reason = new Error("changed my mind");
    setImmediate(() => abort.abort(reason));
    await expect(starting).rejects.toBe(reason);
    expect(await machine.leftovers()).not.toContainEqual(expect.stringContaining(spec.id));
  });

  it("refuses what the driver cannot run", async () => {
    const block = await machine.containerSpec("true", {
      spec: { rootfs: { kind: "block", devices: [] } },
    });
    await expect(sandbox.check(block)).rejects.toMatchObject({ code: "RUNTIME_NOT_SUPPORTED" });
    await expect(sandbox.start(block)).rejects.toMatchObject({ code: "RUNTIME_NOT_SUPPORTED" });
    const stranger = await machine.containerSpec("true", { process: { user: "nobody-here" } });
    await expect(sandbox.check(stranger)).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    const noInput = await machine.containerSpec("true", { spec: { attach: [{ stdin: true }] } });
    await expect(sandbox.start(noInput)).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
  });

  it("tells when the kernel killed for want of memory", async () => {
    const { container } = await start("x=a; while true; do x=$x$x; done", {
      config: { linux: { resources: { memoryLimitInBytes: 16_777_216 } } },
    });
    expect(await container.exit).toMatchObject({ isOomKilled: true, exitCode: 137 });
    await container.remove();
  });

  it("survives a fork bomb within its limit of processes, and ends it", async () => {
    // A shell that cannot fork ends; what the container waits for is started without.
    const { container } = await start("(bomb() { bomb | bomb & }; bomb) & exec sleep 100", {
      config: { linux: { resources: { unified: { "pids.max": "40" } } } },
    });
    const probe = await container.attach({});
    // The shell complains when it cannot fork any more.
    for await (const chunk of probe.stderr) {
      if (Buffer.from(chunk).toString().includes("fork")) break;
    }
    await container.signal("SIGKILL");
    expect(await container.exit).toMatchObject({ exitCode: 137 });
    await probe[Symbol.asyncDispose]();
    await container.remove();
  });

  it("changes limits of a running container, all or none", async () => {
    const { container, log } = await start("echo up; sleep 100", {
      config: { linux: { resources: { memoryLimitInBytes: 33_554_432, cpuShares: 512 } } },
    });
    await container.updateResources?.({ memoryLimitInBytes: 67_108_864, cpuShares: 256 });
    const { memory } = await container.stats();
    expect((memory?.availableBytes ?? 0) + (memory?.workingSetBytes ?? 0)).toBe(67_108_864);
    await expect(
      container.updateResources?.({ memoryLimitInBytes: 50_331_648, cpuQuota: 1 }),
    ).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    // Few machines have the processor 8,000.
    await expect(
      container.updateResources?.({ memoryLimitInBytes: 50_331_648, cpusetCpus: "8000" }),
    ).rejects.toMatchObject({ code: "EXECUTION_ERROR" });
    const unchanged = await container.stats();
    expect((unchanged.memory?.availableBytes ?? 0) + (unchanged.memory?.workingSetBytes ?? 0)).toBe(
      67_108_864,
    );
    expect(log).not.toBe("");
    await container.remove();
  });

  it("freezes a container and lets it go on", async () => {
    const { container } = await start("while true; do echo tick; sleep 0.02; done");
    await container.pause?.();
    await container.pause?.();
    const before = await container.stats();
    const after = await container.stats();
    expect(after.cpu?.usageCoreNanoSeconds).toBe(before.cpu?.usageCoreNanoSeconds);
    await container.resume?.();
    await container.resume?.();
    const session = await container.attach({});
    for await (const chunk of session.stdout) {
      expect(Buffer.from(chunk).toString()).toContain("tick");
      break;
    }
    await session[Symbol.asyncDispose]();
    // Ends also when it is frozen.
    await container.pause?.();
    await container.signal("SIGKILL");
    expect(await container.exit).toMatchObject({ exitCode: 137 });
    await container.remove();
  });

  it("rotates the log by size, keeps what it may, and opens it anew after a rename", async () => {
    const spec = await machine.containerSpec(
      "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; echo marker; read x; echo last",
      { process: { stdin: true }, spec: { attach: [{ stdin: true }] } },
    );
    const log = { path: spec.log?.path ?? "", maxBytes: 8_192, maxFiles: 3 };
    const container = await sandbox.start({ ...spec, log });
    const [session] = container.sessions;
    for await (const chunk of session?.stdout ?? []) {
      if (Buffer.from(chunk).toString().includes("marker")) break;
    }
    for (const path of [log.path, `${log.path}.1`, `${log.path}.2`]) {
      expect((await stat(path)).size).toBeLessThanOrEqual(log.maxBytes);
    }
    await expect(stat(`${log.path}.3`)).rejects.toMatchObject({ code: "ENOENT" });
    const lines = await logText(`${log.path}.1`, "stdout");
    expect(lines.split("\n").length).toBeGreaterThan(100);
    await rename(log.path, `${log.path}.moved`);
    await container.reopenLog();
    await session?.stdin.write("\n");
    await container.exit;
    expect(await logText(log.path, "stdout")).toBe("last\n");
    expect(await logText(`${log.path}.moved`, "stdout")).toContain("marker\n");
    await container.remove();
  });

  it("cuts long lines into parts and loses no byte", async () => {
    const { container, log } = await start(
      "head -c 40000 /dev/zero | tr '\\0' a; echo; printf unfinished",
    );
    await container.exit;
    const lines = (await readFile(log, "utf8")).split("\n").slice(0, -1);
    expect(lines.map((line) => line.split(" ")[2])).toEqual(["P", "P", "F", "P"]);
    expect(Math.max(...lines.map((line) => (line.split(" ")[3] ?? "").length))).toBe(16_384);
    expect(await logText(log, "stdout")).toBe(`${"a".repeat(40_000)}\nunfinished`);
    await container.remove();
  });

  it("gives the sandbox's names, shared memory and processes to its containers", async () => {
    const first = await start("echo x > /dev/shm/shared; sleep 100");
    const second = await start(
      "until [ -e /dev/shm/shared ]; do :; done; hostname; cat /etc/hostname; ps -o pid,args; grep -c box /etc/hosts",
    );
    await second.container.exit;
    const output = await logText(second.log, "stdout");
    expect(output).toMatch(/^box\nbox\n/);
    expect(output).toMatch(/ 1 init\n/);
    expect(output).toMatch(/sleep 100\n/);
    expect(output).toMatch(/\n1\n$/);
    await first.container.remove();
    await second.container.remove();
  });

  it("gives a container its own processes, or those of another one", async () => {
    const own = await start("sleep 100; true", {
      config: { linux: { securityContext: { namespaceOptions: { pid: "container" } } } },
    });
    const session = await own.container.exec({
      argv: ["ps", "-o", "pid,args"],
      env: ["PATH=/bin"],
      workingDir: "/",
      tty: false,
      stdin: false,
    });
    expect(await text(session.stdout)).toMatch(/ 1 sh -c sleep/);
    const spec = await machine.containerSpec("ps -o pid,args", {
      config: {
        linux: {
          securityContext: {
            namespaceOptions: { pid: "target", targetId: "no-such-container" },
          },
        },
      },
    });
    await expect(sandbox.check(spec)).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    await own.container.remove();
  });
});
