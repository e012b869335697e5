import { LongshoreError } from "@longshore/core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ContainerRunner, script, type JobRuntimes } from "./container-run.ts";

/**
 * What a job sees and may do in real containers. Call it in a test file of a composition of runtime and store whose image
 * `base` has BusyBox' or Debian's tools.
 */
export function describeIsolatedJobs(name: string, open: () => Promise<JobRuntimes>): void {
  describe(`jobs in containers: ${name}`, () => {
    let runner: ContainerRunner;
    beforeAll(async () => {
      runner = await ContainerRunner.open(await open());
    });
    afterEach(() => runner.assertNothingLeft());
    afterAll(() => runner[Symbol.asyncDispose]());

    test("sees its files and its image, and nothing of the host", async () => {
      const outcome = await runner.succeed({
        runtime: script(`cat data; pwd; ls ${runner.root} 2> /dev/null || echo none`, {
          files: { data: { content: "mine\n" } },
        }),
      });
      expect(outcome.stdout).toBe("mine\n/work\nnone\n");
    });

    test("is the first process, and alone", async () => {
      const outcome = await runner.succeed({ runtime: script('echo "$$"; ls -d /proc/[0-9]*') });
      expect(outcome.stdout?.split("\n")[0]).toBe("1");
      expect(outcome.stdout?.match(/\/proc\//g)?.length).toBeLessThanOrEqual(2);
    });

    test("has no network", async () => {
      const outcome = await runner.succeed({ runtime: script("cat /proc/net/dev") });
      expect(outcome.stdout).not.toMatch(/^\s*eth/m);
    });

    test("gains no privileges, under a filter of system calls", async () => {
      const outcome = await runner.succeed({
        runtime: script("grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status"),
      });
      expect(outcome.stdout).toMatch(/NoNewPrivs:\s+1\nSeccomp:\s+2\n/);
    });

    test("keeps its artifacts though it is another user", async () => {
      const { outcome, readArtifact } = await runner.run({
        runtime: script('id -u; echo kept > "$WORKER_ARTIFACTS_DIR/kept.txt"', {
          user: "1234:5678",
          output: { format: "text", artifacts: ["*.txt"] },
        }),
      });
      expect(outcome).toMatchObject({ exitCode: 0, stdout: "1234\n" });
      expect(await readArtifact("kept.txt")).toBe("kept\n");
    });

    test("is ended when it takes too much memory", async () => {
      const { error, outcome } = await runner.run({
        runtime: script("x=0123456789abcdef; while :; do x=$x$x; done", {
          limits: { memoryMb: 32 },
        }),
      });
      expect(error?.code).toBe("OOM_KILLED");
      expect(outcome).toMatchObject({ oomKilled: true, exitCode: 137 });
    });

    test("has no more processes than it may", async () => {
      const content = `i=0; while [ $i -lt 50 ]; do sleep 5 & i=$((i+1)); done 2> /dev/null
        ls -d /proc/[0-9]* | wc -l`;
      const { outcome } = await runner.run({
        runtime: script(content, { limits: { pids: 12 } }),
      });
      expect(Number(outcome.stdout?.trim() ?? 0)).toBeLessThanOrEqual(13);
    });

    test("ends with all it started when it is told to", async () => {
      const stop = new AbortController();
      const { error, outcome } = await runner.run({
        runtime: script(
          "trap '' TERM; (setsid sleep 600 &); sleep 600 & echo ready; while :; do sleep 0.1; done",
        ),
        signal: stop.signal,
        onEvent: ({ message }) => {
          if (message === "ready") stop.abort(new LongshoreError("TIMEOUT", "too long"));
        },
      });
      expect(error?.code).toBe("TIMEOUT");
      expect(outcome).toMatchObject({ exitCode: 137, stdout: "ready\n" });
    });

    test("keeps the head of a large output", async () => {
      const outcome = await runner.succeed({
        runtime: script("head -c 50000000 /dev/zero | tr '\\0' x", {
          limits: { maxStdoutBytes: 1_000 },
        }),
      });
      expect(outcome).toMatchObject({
        stdout: "x".repeat(1_000),
        stdoutBytesTruncated: 49_999_000,
      });
    });
  });
}
