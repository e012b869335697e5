import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commandLine } from "../src/command-line.ts";
import { findSystemTools } from "../src/system-tools.ts";
import { ProcessRunner, script } from "./process-run.ts";

let runner: ProcessRunner;
beforeAll(async () => {
  runner = await ProcessRunner.open();
});
afterAll(() => runner[Symbol.asyncDispose]());

const isRoot = process.getuid?.() === 0;
/** Root has no limit of processes, so that tests of it run as somebody else. */
const anyUser = isRoot ? { user: "65534" } : {};

const python = (content: string) => ({
  runtime: "python",
  cmd: ["main.py"],
  files: { "main.py": { content } },
});

describe("memory", () => {
  test("makes an allocation fail that is over the limit", async () => {
    const runtime = python(
      "try:\n  x = bytearray(300 << 20); print('got it')\nexcept MemoryError:\n  print('refused')",
    );
    expect((await runner.succeed({ runtime })).stdout).toBe("got it\n");
    const limited = { ...runtime, limits: { memoryMb: 200 } };
    expect((await runner.succeed({ runtime: limited })).stdout).toBe("refused\n");
  });

  test("is the host's when the job has none", async () => {
    const { stdout } = await runner.succeed({
      runtime: script("ulimit -v"),
      handler: { memoryMb: 256 },
    });
    expect(stdout).toBe(`${256 * 1_024}\n`);
  });

  test("is V8's heap for Node, which reserves far more addresses than it uses", async () => {
    const heap = "require('node:v8').getHeapStatistics().heap_size_limit";
    const { stdout } = await runner.succeed({
      runtime: {
        runtime: "node",
        cmd: ["-p", `${heap} / 2 ** 20`],
        limits: { memoryMb: 100 },
      },
    });
    // V8 rounds it to its pages.
    expect(Math.abs(Number(stdout) - 100)).toBeLessThanOrEqual(4);
    const { error, outcome } = await runner.run({
      runtime: {
        runtime: "node",
        cmd: ["-e", "const all = []; for (;;) all.push(new Array(1e4).fill({}))"],
        limits: { memoryMb: 64 },
      },
    });
    expect(error?.code).toBe("NON_ZERO_EXIT");
    expect(outcome.stderr).toContain("heap");
  });
});

describe("processor time", () => {
  test("ends a process that used more than its share", async () => {
    const { error, outcome } = await runner.run({
      runtime: {
        ...python("while True: pass"),
        limits: { cpus: 1, maxRuntimeSeconds: 1 },
      },
    });
    expect(error).toMatchObject({ code: "LIMIT_EXCEEDED", details: { signal: "SIGXCPU" } });
    expect(outcome.signal).toBe("SIGXCPU");
  });

  test.each([
    { limits: { cpus: 2, maxRuntimeSeconds: 30 }, seconds: 60 },
    { limits: { cpus: 1, maxRuntimeSeconds: 30 }, execution: { timeoutSeconds: 20 }, seconds: 20 },
    { limits: { cpus: 0.5 }, handler: { timeoutSeconds: 100 }, seconds: 50 },
  ])("is the processors times the time limit: %o", async ({ limits, seconds, ...rest }) => {
    const { stdout } = await runner.succeed({
      runtime: script("ulimit -St", { limits }),
      job: { execution: rest.execution ?? {} },
      handler: rest.handler ?? {},
    });
    expect(Number(stdout)).toBe(seconds);
  });
});

describe("processes", () => {
  const forkMany = `
    my @children;
    for (1..50) {
      my $child = fork();
      last unless defined $child;
      if ($child == 0) { sleep 60; exit }
      push @children, $child;
    }
    print scalar(@children), "\\n";
    kill "KILL", @children;
  `;

  test("are refused beyond the limit", async () => {
    const { stdout } = await runner.succeed({
      runtime: {
        cmd: ["perl", "-e", forkMany],
        ...anyUser,
        limits: { pids: 10 },
      },
    });
    // The main process is one of the ten.
    expect(Number(stdout)).toBeGreaterThanOrEqual(5);
    expect(Number(stdout)).toBeLessThanOrEqual(10);
  });

  test.runIf(isRoot)("cannot be limited for root: the job is refused", async () => {
    const error = await runner.fail({ runtime: { cmd: ["true"], limits: { pids: 10 } } });
    expect(error).toMatchObject({ code: "RUNTIME_NOT_SUPPORTED", details: { limit: "pids" } });
  });

  test.runIf(isRoot)("of root are not limited when the host says so, but the rest is", async () => {
    const { stdout } = await runner.succeed({
      runtime: script("ulimit -v", { limits: { pids: 10, memoryMb: 64 } }),
      handler: { ignoreMissingLimits: true },
    });
    expect(stdout).toBe("65536\n");
  });
});

test("the largest file ends a process that writes more", async () => {
  const { error } = await runner.run({
    runtime: {
      cmd: ["dd", "if=/dev/zero", "of=big", "bs=1M", "count=3"],
      limits: { diskMb: 1 },
    },
  });
  expect(error).toMatchObject({ code: "LIMIT_EXCEEDED", details: { signal: "SIGXFSZ" } });
});

test("no core is dumped", async () => {
  const { stdout } = await runner.succeed({
    runtime: script("ulimit -c", { limits: { diskMb: 1 } }),
  });
  expect(stdout).toBe("0\n");
});

test("a network of its own cannot be had: the job is refused", async () => {
  const runtime = { cmd: ["true"], limits: { network: "none" } };
  expect(await runner.fail({ runtime })).toMatchObject({
    code: "RUNTIME_NOT_SUPPORTED",
    details: { limit: "network" },
  });
  const handler = { ignoreMissingLimits: true };
  expect((await runner.succeed({ runtime, handler })).exitCode).toBe(0);
});

describe("a machine without util-linux", () => {
  const parts = {
    tools: { prlimit: undefined, setpriv: undefined },
    timeoutSeconds: 10,
    cwd: "/",
    path: "/usr/bin:/bin",
    uid: 1_000,
  };
  const limited = { mode: "process", cmd: ["true"], limits: { memoryMb: 64 } } as const;

  test("runs what has no limits", async () => {
    const command = await commandLine(
      { mode: "process", cmd: ["true"] },
      { ...parts, options: {} },
    );
    expect(command).toEqual({ program: expect.stringMatching(/\/true$/), args: [] });
  });

  test("refuses what has", async () => {
    await expect(commandLine(limited, { ...parts, options: {} })).rejects.toMatchObject({
      code: "RUNTIME_NOT_SUPPORTED",
      details: { limit: "memoryMb" },
    });
  });

  test("runs it all the same when the host says so", async () => {
    const options = { ignoreMissingLimits: true };
    const command = await commandLine(limited, { ...parts, options });
    expect(command.args).toEqual([]);
  });
});

test("a limit of the worker's own is never raised", async () => {
  const { prlimit = "" } = await findSystemTools();
  const source = new URL("../src/limit-flags.ts", import.meta.url).href;
  const program = `
    const { limitFlags } = await import(${JSON.stringify(source)});
    console.log(JSON.stringify(await limitFlags(
      { diskMb: 100, cpuSeconds: 5000, pids: undefined, memoryMb: undefined }, 1)));
  `;
  const output = execFileSync(
    prlimit,
    [
      "--fsize=1048576",
      "--cpu=1000",
      "--",
      process.execPath,
      "--conditions=@longshore/source",
      "--no-warnings",
      "--input-type=module",
      "-e",
      program,
    ],
    { encoding: "utf8" },
  );
  expect(JSON.parse(output)).toEqual(["--core=0", "--fsize=1048576", "--cpu=1000:1000"]);
});
