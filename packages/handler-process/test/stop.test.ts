import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { LongshoreError, type JobEvent } from "@longshore/core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { BoundedOutput } from "../../core/src/command-job/bounded-output.ts";
import { processHandler } from "../src/index.ts";
import { killAttempt } from "../src/leftovers.ts";
import { startProcessGroup } from "../src/process-group.ts";
import { ProcessRunner, runningProcesses, script, type ProcessRunOptions } from "./process-run.ts";

let runner: ProcessRunner;
beforeAll(async () => {
  runner = await ProcessRunner.open();
});
afterAll(() => runner[Symbol.asyncDispose]());

let wordCount = 0;
/** A word that finds one test's processes on the whole machine. */
function uniqueWord(): string {
  wordCount += 1;
  return String(86_400_000 + process.pid * 100 + wordCount);
}

const timeout = new LongshoreError("TIMEOUT", "The job ran too long.");

/** Runs a job and aborts it once it has written a line. */
function runUntilLine(options: ProcessRunOptions, line = "ready") {
  const controller = new AbortController();
  const onEvent = ({ kind, message }: JobEvent): void => {
    if (kind === "log" && message === line) controller.abort(timeout);
  };
  return runner.run({ ...options, signal: controller.signal, onEvent });
}

describe("an abort", () => {
  test("F4: ends the process and everything it started", async () => {
    const word = uniqueWord();
    const { error, outcome } = await runUntilLine({
      runtime: script(`sleep ${word} & sh -c 'sleep ${word}; true' & echo ready; sleep ${word}`),
    });
    expect(error).toBe(timeout);
    expect(outcome).toMatchObject({ signal: "SIGTERM", stdout: "ready\n" });
    expect(await runningProcesses(word)).toEqual([]);
  });

  test("lets a process end by itself and keeps what it writes then", async () => {
    const { error, outcome } = await runUntilLine({
      runtime: {
        runtime: "python",
        cmd: ["main.py"],
        files: {
          "main.py": {
            content: `
import os, signal
def stop(*_):
    os.write(1, b"bye\\n")
    os._exit(7)
signal.signal(signal.SIGTERM, stop)
os.write(1, b"ready\\n")
while True: signal.pause()
`,
          },
        },
      },
    });
    expect(error).toBe(timeout);
    expect(outcome).toMatchObject({ exitCode: 7, stdout: "ready\nbye\n" });
  });

  test("gives a shell's child the time to end, not only the shell", async () => {
    const child = `
import os, signal, time
def stop(*_):
    time.sleep(0.2)
    os.write(1, b"cleaned\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
os.write(1, b"ready\\n")
while True: signal.pause()
`;
    const { outcome } = await runUntilLine({
      runtime: script("python3 child.py; echo not reached", {
        files: { "child.py": { content: child } },
      }),
    });
    expect(outcome.stdout).toBe("ready\ncleaned\n");
  });

  test("kills a process that does not listen to SIGTERM, after the grace time", async () => {
    const word = uniqueWord();
    const startMs = performance.now();
    const { error, outcome } = await runUntilLine({
      runtime: script(`trap '' TERM; echo ready; sleep ${word}`),
      handler: { killGraceMs: 300 },
    });
    expect(error).toBe(timeout);
    expect(outcome.signal).toBe("SIGKILL");
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(300);
    expect(await runningProcesses(word)).toEqual([]);
  });

  test("kills a stopped process", async () => {
    const { outcome } = await runUntilLine({
      runtime: script(`
        (kill -STOP $$; until grep -q '^State:.T' /proc/$$/status; do :; done; echo ready) &
        wait; sleep 60
      `),
      handler: { killGraceMs: 200 },
    });
    expect(outcome.signal).toBe("SIGKILL");
  });

  test("finds what left the group as a daemon", async () => {
    const word = uniqueWord();
    const { error } = await runUntilLine({
      runtime: script(`
        setsid sh -c 'trap "" TERM HUP; setsid sleep ${word} </dev/null >/dev/null 2>&1 & sleep ${word}' &
        until [ "$(pgrep -xfc 'sleep ${word}')" = 2 ]; do :; done
        echo ready; sleep ${word}
      `),
      handler: { killGraceMs: 300 },
    });
    expect(error).toBe(timeout);
    expect(await runningProcesses(word)).toEqual([]);
  });

  test("before the start starts nothing", async () => {
    const signal = AbortSignal.abort(timeout);
    const { error, outcome } = await runner.run({ runtime: script("echo started"), signal });
    expect(error).toBe(timeout);
    expect(outcome).toEqual({});
  });

  test("during the preparation starts nothing", async () => {
    const controller = new AbortController();
    const { error, outcome } = await runner.run({
      runtime: script("echo started"),
      signal: controller.signal,
      handler: {
        environment: () => {
          controller.abort(timeout);
          return {};
        },
      },
    });
    expect(error).toBe(timeout);
    expect(outcome.stdout).toBeUndefined();
  });

  test("leaves no listener on the signal of a job that ended", async () => {
    const { signal } = new AbortController();
    const add = vi.spyOn(signal, "addEventListener");
    const remove = vi.spyOn(signal, "removeEventListener");
    await runner.run({ runtime: script("true"), signal });
    const removed = remove.mock.calls.map(([, listener]) => listener);
    const ours = add.mock.calls.map(([, listener]) => listener);
    expect(ours.length).toBeGreaterThan(0);
    for (const listener of ours) expect(removed).toContain(listener);
  });
});

describe("the end of a process", () => {
  test("F7: is the end of its output, not its exit", async () => {
    const fifo = join(await mkdtemp(join(runner.root, "f7-")), "go");
    // Without its environment the writer is not found and lives on; a group's other members would be killed.
    const writer = `: > ${fifo}.up; read go < ${fifo}; printf tail`;
    const group = await startProcessGroup({
      program: "/bin/sh",
      args: [
        "-c",
        `mkfifo ${fifo}; env -i setsid sh -c '${writer}' & until [ -e ${fifo}.up ]; do :; done`,
      ],
      cwd: runner.root,
      env: { PATH: process.env["PATH"] ?? "" },
      killGraceMs: 100,
      signal: new AbortController().signal,
    });
    const output = new BoundedOutput(group.child.stdout, 100);
    const captured = group.ended.then(() => output.capture().text);
    await once(group.child, "exit");
    // All that the exit sets off, and more: whoever takes it for the end is done now.
    for (let round = 0; round < 3; round += 1) await killAttempt("nobody's");
    await writeFile(fifo, "\n");
    expect(await captured).toBe("tail");
  });

  test("F7: waits for the last bytes of the output", async () => {
    const { stdout } = await runner.succeed({
      runtime: script("head -c 3000000 /dev/zero | tr '\\0' x; printf tail"),
    });
    expect(stdout?.length).toBe(3_000_004);
    expect(stdout?.endsWith("xtail")).toBe(true);
  });

  test("does not wait for a child that keeps the output open", async () => {
    const word = uniqueWord();
    const startMs = performance.now();
    const { stdout } = await runner.succeed({ runtime: script(`sleep ${word} & echo done`) });
    expect(stdout).toBe("done\n");
    expect(performance.now() - startMs).toBeLessThan(5_000);
    expect(await runningProcesses(word)).toEqual([]);
  });

  test("leaves no daemon behind, though it left the group and closed its output", async () => {
    const word = uniqueWord();
    await runner.succeed({
      runtime: script(`
        setsid setsid sleep ${word} </dev/null >/dev/null 2>&1 &
        until pgrep -xf 'sleep ${word}' >/dev/null; do :; done
      `),
    });
    expect(await runningProcesses(word)).toEqual([]);
  });

  test("leaves no daemon behind that keeps forking", async () => {
    const word = uniqueWord();
    await runner.succeed({
      runtime: script(`
        cat > respawn.sh <<'END'
trap '' HUP
while :; do sleep 0.01; : ${word}; done
END
        setsid sh respawn.sh ${word} </dev/null >/dev/null 2>&1 &
        until pgrep -f 'respawn.sh ${word}' >/dev/null; do :; done
      `),
    });
    expect(await runningProcesses(word)).toEqual([]);
  });

  test("does not touch the processes of other jobs", async () => {
    const word = uniqueWord();
    const controller = new AbortController();
    const other = runner.run({
      runtime: script(`echo ready; sleep ${word}`),
      signal: controller.signal,
    });
    try {
      await vi.waitFor(
        async () => {
          expect(await runningProcesses(word)).toHaveLength(1);
        },
        { timeout: 20_000 },
      );
      await runner.succeed({ runtime: script("true") });
      await runUntilLine({ runtime: script("echo ready; sleep 60") });
      expect(await runningProcesses(word)).toHaveLength(1);
    } finally {
      controller.abort(timeout);
      await other;
    }
  });

  test.each([1, 2, 126, 255])(
    "with code %i fails, and shows the code and the output",
    async (code) => {
      const { error, outcome } = await runner.run({
        runtime: script(`echo out; echo err >&2; exit ${code}`),
      });
      expect(error).toMatchObject({
        code: "NON_ZERO_EXIT",
        retryable: false,
        details: { exitCode: code, signal: null },
      });
      expect(outcome).toMatchObject({ exitCode: code, stdout: "out\n", stderr: "err\n" });
    },
  );

  test.each(["SIGKILL", "SIGSEGV", "SIGTERM", "SIGHUP"] as const)("by %s fails", async (signal) => {
    const { error, outcome } = await runner.run({
      runtime: script(`kill -${signal.slice(3)} $$; sleep 60`),
    });
    expect(error).toMatchObject({ code: "NON_ZERO_EXIT", details: { exitCode: null, signal } });
    expect(outcome).toMatchObject({ signal });
    expect(outcome.exitCode).toBeUndefined();
  });
});

describe("a killed worker", () => {
  const worker = fileURLToPath(new URL("doomed-worker.ts", import.meta.url));

  /** Starts a worker with a job, and kills it without warning when the job runs. */
  async function killWorkerRunning(runtime: object): Promise<void> {
    const child = spawn(
      process.execPath,
      [
        "--conditions=@longshore/source",
        "--no-warnings",
        worker,
        runner.root,
        JSON.stringify(runtime),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "close");
  }

  test("takes its job's process along", async () => {
    const word = uniqueWord();
    await killWorkerRunning({ cmd: ["sh", "-c", `echo ready; exec sleep ${word}`] });
    await vi.waitFor(
      async () => {
        expect(await runningProcesses(word)).toEqual([]);
      },
      { timeout: 20_000 },
    );
  });

  test("leaves orphans that the next worker ends before it begins, and only those", async () => {
    const word = uniqueWord();
    const liveWord = uniqueWord();
    await killWorkerRunning(script(`setsid sleep ${word} & echo ready; wait`));
    await vi.waitFor(
      async () => {
        expect(await runningProcesses(word)).toHaveLength(1);
      },
      { timeout: 20_000 },
    );
    const controller = new AbortController();
    const live = runner.run({ runtime: script(`sleep ${liveWord}`), signal: controller.signal });
    try {
      await vi.waitFor(
        async () => {
          expect(await runningProcesses(liveWord)).toHaveLength(1);
        },
        { timeout: 20_000 },
      );
      await processHandler().setup?.({});
      expect(await runningProcesses(word)).toEqual([]);
      expect(await runningProcesses(liveWord)).toHaveLength(1);
    } finally {
      controller.abort(timeout);
      await live;
    }
  });
});

test("pgrep, which these tests use, is there", async () => {
  const { stdout } = await promisify(execFile)("pgrep", ["--version"]);
  expect(stdout).toContain("pgrep");
});
