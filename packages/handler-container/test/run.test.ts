import {
  createJobDocument,
  LongshoreError,
  parseJobDocument,
  processIdentity,
} from "@longshore/core";
import { leakChecker } from "@longshore/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ContainerRunner, script } from "./container-run.ts";

let runner: ContainerRunner;
beforeAll(async () => {
  runner = await ContainerRunner.open();
});
afterEach(() => runner.assertNothingLeft());
afterAll(() => runner[Symbol.asyncDispose]());

describe("a job of mode image", () => {
  test("runs its command, with arguments as they are", async () => {
    const outcome = await runner.succeed({
      runtime: { cmd: ["printf", "%s|"], args: ["-n", "a b", "$(id)", "new\nline", "--"] },
    });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: "-n|a b|$(id)|new\nline|--|" });
  });

  test("gets its payload on standard input", async () => {
    const outcome = await runner.succeed({ runtime: script("cat"), data: { n: 1 } });
    expect(JSON.parse(outcome.stdout ?? "")).toMatchObject({
      operation: "container.run",
      attempt: 1,
      payload: { data: { n: 1 } },
    });
    expect(outcome.stdout).not.toContain("audit");
  });

  test("gets the whole job, or nothing, when it says so", async () => {
    const job = script("cat", { input: { stdin: "job" } });
    expect(JSON.parse((await runner.succeed({ runtime: job })).stdout ?? "")).toHaveProperty(
      "runtime.mode",
      "image",
    );
    const none = script("cat; echo over", { input: { stdin: "none" } });
    expect((await runner.succeed({ runtime: none })).stdout).toBe("over\n");
  });

  test("gets its parameters by standard input, file or environment", async () => {
    const data = { name: "x y", nested: { n: 2 } };
    const run = async (
      content: string,
      params: { delivery: "stdin" | "file" | "env"; format: "json" | "yaml" | "dotenv" },
    ) => (await runner.succeed({ runtime: script(content, { params }), data })).stdout;
    expect(await run("cat", { delivery: "stdin", format: "json" })).toBe(
      `${JSON.stringify(data)}\n`,
    );
    expect(await run('cat "$WORKER_PARAMS_FILE"', { delivery: "file", format: "yaml" })).toBe(
      "name: x y\nnested:\n  n: 2\n",
    );
    expect(await run('echo "$WORKER_PARAM_NESTED_N"', { delivery: "env", format: "dotenv" })).toBe(
      "2\n",
    );
  });

  test("finds its files where it starts", async () => {
    const outcome = await runner.succeed({
      runtime: {
        cmd: ["./bin/tool"],
        files: {
          "bin/tool": { content: "#!/bin/sh\ncat data; pwd\n", mode: "0755" },
          data: { base64: Buffer.from("bytes\n").toString("base64") },
        },
      },
    });
    expect(outcome.stdout).toMatch(/^bytes\n.*\/work\n$/);
  });

  test("has its own environment, and the worker's words on the job", async () => {
    const outcome = await runner.succeed({
      runtime: script('printf "%s|" "$LINES" "$NUMBER" "${GONE-unset}" "$WORKER_ATTEMPT" "$HOST"', {
        env: { LINES: "a\nb", NUMBER: 5, GONE: null, WORKER_ATTEMPT: "99" },
      }),
      handler: { environment: () => ({ HOST: "yes" }) },
    });
    expect(outcome.stdout).toBe("a\nb|5|unset|1|yes|");
  });

  test("hands over its artifacts, and no links", async () => {
    const { outcome, readArtifact } = await runner.run({
      runtime: script(
        'cd "$WORKER_ARTIFACTS_DIR"; mkdir sub; echo a > sub/a.txt; echo b > b.bin; ln -s /etc/passwd c.txt',
        { output: { format: "text", artifacts: ["**/*.txt"] } },
      ),
    });
    expect(outcome.outputs?.artifacts?.map(({ path }) => path)).toEqual(["sub/a.txt"]);
    expect(await readArtifact("sub/a.txt")).toBe("a\n");
  });

  test("gives its output as data", async () => {
    const runtime = script("echo '{\"n\": 6}'; echo note >&2", {
      output: { format: "json", artifacts: [] },
    });
    expect(await runner.succeed({ runtime })).toMatchObject({ data: { n: 6 }, stderr: "note\n" });
    const broken = script("echo '{'", { output: { format: "json", artifacts: [] } });
    expect((await runner.fail({ runtime: broken })).code).toBe("EXECUTION_ERROR");
  });

  test("has its output cut at a whole character", async () => {
    const runtime = script("i=0; while [ $i -lt 100 ]; do printf 'ü'; i=$((i+1)); done", {
      limits: { maxStdoutBytes: 11 },
    });
    const outcome = await runner.succeed({ runtime });
    expect(outcome).toMatchObject({
      stdout: "ü".repeat(5),
      stdoutTruncated: true,
      stdoutBytesTruncated: 190,
    });
  });

  test("has its lines logged while it runs", async () => {
    const lines: string[] = [];
    await runner.succeed({
      runtime: script("echo one; echo two >&2"),
      onEvent: ({ kind, message }) => {
        if (kind === "log") lines.push(message ?? "");
      },
    });
    expect(lines.toSorted()).toEqual(["one", "two"]);
  });

  test("fails with its exit code", async () => {
    const { error, outcome } = await runner.run({ runtime: script("echo bad >&2; exit 7") });
    expect(error).toMatchObject({ code: "NON_ZERO_EXIT", details: { exitCode: 7 } });
    expect(outcome).toMatchObject({ exitCode: 7, stderr: "bad\n" });
  });

  test("fails with the signal that ended it", async () => {
    const { error, outcome } = await runner.run({ runtime: script("kill -KILL $$; sleep 9") });
    expect(error).toMatchObject({ code: "NON_ZERO_EXIT", details: { signal: "SIGKILL" } });
    expect(outcome).toMatchObject({ exitCode: 137, signal: "SIGKILL" });
  });

  test("fails when its program is not there", async () => {
    expect(await runner.fail({ runtime: { cmd: ["no-such-program"] } })).toMatchObject({
      code: "EXECUTION_ERROR",
    });
  });

  test("works unchanged as a document of version 0", async () => {
    const wire = {
      protocol_version: 1,
      job_id: "pc-1",
      task: { type: "sum", payload: { n: 3 } },
      runtime: {
        mode: "image",
        image: "base",
        cmd: ["cat"],
        env: { A: 1, B: null },
        limits: { memory_mb: 64, max_runtime_seconds: 10 },
      },
    };
    const { document } = parseJobDocument(JSON.stringify(wire), {
      contentType: "application/json",
    });
    const outcome = await runner.succeed({ document });
    expect(JSON.parse(outcome.stdout ?? "")).toEqual(wire);
  });
});

describe("a job that is told to end", () => {
  test.each([
    ["is asked first", "trap 'echo asked; exit 3' TERM", { stdout: "asked\n", exitCode: 3 }],
    ["is killed when it does not end", "trap '' TERM", { stdout: "", exitCode: 137 }],
  ])("%s", async (_title, trap, expected) => {
    const stop = new AbortController();
    const { error, outcome } = await runner.run({
      runtime: script(`${trap}; echo ready >&2; while :; do sleep 0.05; done`),
      signal: stop.signal,
      onEvent: ({ message }) => {
        if (message === "ready") stop.abort(new LongshoreError("TIMEOUT", "too long"));
      },
    });
    expect(error).toBe(stop.signal.reason);
    expect(outcome).toMatchObject({ ...expected, stderr: "ready\n" });
  });

  test("takes along what it started", async () => {
    const mark = String(100_000 + Math.floor(Math.random() * 899_999));
    const stop = new AbortController();
    const checker = await leakChecker({ marks: [], roots: [runner.root, runner.temp.directory] });
    const { error } = await runner.run({
      runtime: script(`sleep ${mark} & sleep ${mark} & echo ready; wait`),
      signal: stop.signal,
      onEvent: ({ message }) => {
        if (message === "ready") stop.abort(new LongshoreError("CANCELLED", "enough"));
      },
    });
    expect(error?.code).toBe("CANCELLED");
    await checker.check();
  });

  test("does not start when it is told before", async () => {
    const signal = AbortSignal.abort(new LongshoreError("CANCELLED", "early"));
    const { error, outcome } = await runner.run({ runtime: script("echo ran"), signal });
    expect(error?.code).toBe("CANCELLED");
    expect(outcome.stdout).toBeUndefined();
  });
});

describe("what earlier attempts left", () => {
  test("is removed before the next one runs", async () => {
    const document = createJobDocument({
      operation: "container.run",
      runtime: { mode: "image", image: "base", ...script("echo second") },
    });
    const { runtime } = runner.temp;
    const config = {
      metadata: { name: "job", uid: document.jobId, namespace: "default", attempt: 1 },
      labels: { "longshore.dev/job-id": document.jobId },
    };
    const left = await runtime.runPodSandbox({ config });
    expect(await runner.succeed({ document })).toMatchObject({ stdout: "second\n" });
    expect(await runtime.listPodSandbox({ id: left })).toEqual([]);
  });

  test("is removed at the start when its worker has died, and only then", async () => {
    const { runtime } = runner.temp;
    const pod = (uid: string, labels: Record<string, string>) =>
      runtime.runPodSandbox({
        config: { metadata: { name: "job", uid, namespace: "default", attempt: 1 }, labels },
      });
    const alive = await processIdentity();
    // The same process number with another start: one that has died.
    const dead = alive.replace(/\.(\d+)$/, ".1");
    await pod("dead", {
      "longshore.dev/job-id": "dead",
      "longshore.dev/worker-process": dead,
    });
    const kept = [
      await pod("alive", {
        "longshore.dev/job-id": "alive",
        "longshore.dev/worker-process": alive,
      }),
      await pod("other", { app: "somebody else's" }),
    ];
    await runner.handler().setup?.({});
    const ids = (await runtime.listPodSandbox()).map(({ id }) => id);
    expect(ids.toSorted()).toEqual(kept.toSorted());
    await Promise.all(kept.map((podSandboxId) => runtime.removePodSandbox({ podSandboxId })));
  });
});
