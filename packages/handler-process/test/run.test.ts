import { chmod } from "node:fs/promises";
import { createJobDocument, type JobRuntime } from "@longshore/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { processHandler } from "../src/index.ts";
import { ProcessRunner, script } from "./process-run.ts";

let runner: ProcessRunner;
beforeAll(async () => {
  runner = await ProcessRunner.open();
});
afterAll(() => runner[Symbol.asyncDispose]());

describe("what is run", () => {
  test("runs a shell script with arguments", async () => {
    const outcome = await runner.succeed({
      runtime: script('printf "%s|" "$0" "$@"', { args: ["a b", "$(id)", "--", "-x"] }),
    });
    expect(outcome.stdout).toBe("job.sh|a b|$(id)|--|-x|");
  });

  test("runs Python", async () => {
    const outcome = await runner.succeed({
      runtime: {
        runtime: "python",
        cmd: ["main.py", "--x"],
        files: { "main.py": { content: "import sys; print(sys.argv[1:])" } },
      },
    });
    expect(outcome.stdout).toBe("['--x']\n");
  });

  test("runs Node with the worker's own Node", async () => {
    const outcome = await runner.succeed({
      runtime: { runtime: "node", cmd: ["-p", "process.execPath"] },
    });
    expect(outcome.stdout).toBe(`${process.execPath}\n`);
  });

  test("runs a native command, found on the PATH", async () => {
    const outcome = await runner.succeed({ runtime: { cmd: ["echo", "hi"] } });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: "hi\n", stderr: "" });
  });

  test("runs a program of its own files", async () => {
    const content = "#!/bin/sh\necho own\n";
    const runtime = { cmd: ["./bin/own"], files: { "bin/own": { content, mode: "0755" } } };
    expect((await runner.succeed({ runtime })).stdout).toBe("own\n");
  });

  test.each(["SHELL", "bash", "Sh"])("knows the alias %s", async (runtime) => {
    expect((await runner.succeed({ runtime: script("echo ok", { runtime }) })).stdout).toBe("ok\n");
  });

  test("runs what the host adds", async () => {
    const handler = { runtimes: { cat: { command: ["cat", "--"] } } };
    const runtime = { runtime: "cat", cmd: ["-odd"], files: { "-odd": { content: "meow" } } };
    expect((await runner.succeed({ handler, runtime })).stdout).toBe("meow");
  });

  test("refuses a runtime that nobody knows", async () => {
    expect(await runner.fail({ runtime: { runtime: "cobol", cmd: ["x"] } })).toMatchObject({
      code: "RUNTIME_NOT_SUPPORTED",
      details: { runtime: "cobol" },
    });
  });

  test.each(["__proto__", "constructor", "toString"])("refuses the runtime %s", async (runtime) => {
    const error = await runner.fail({ runtime: { runtime, cmd: ["x"] } });
    expect(error.code).toBe("RUNTIME_NOT_SUPPORTED");
  });

  test("refuses a runtime whose interpreter is not there", async () => {
    const handler = { runtimes: { lost: { command: ["no-such-interpreter"] } } };
    const error = await runner.fail({ handler, runtime: { runtime: "lost", cmd: ["x"] } });
    expect(error).toMatchObject({ code: "RUNTIME_NOT_SUPPORTED", retryable: false });
  });

  test.each([
    ["a name that is not on the PATH", ["no-such-program"]],
    ["a name that looks like an option", ["-x"]],
    ["a file that is not there", ["./missing"]],
    ["a directory", ["/usr/bin"]],
  ])("fails for good with %s", async (_name, cmd) => {
    const error = await runner.fail({ runtime: { cmd } });
    expect(error).toMatchObject({ code: "EXECUTION_ERROR", retryable: false });
  });

  test("fails for good with a program the kernel cannot run", async () => {
    const files = { broken: { content: "#!/no/such/interpreter\n", mode: "0755" } };
    const { outcome, error } = await runner.run({ runtime: { cmd: ["./broken"], files } });
    expect(error?.retryable).toBe(false);
    expect(outcome.exitCode ?? 127).toBeGreaterThanOrEqual(126);
  });

  test.each([
    ["no command", {}],
    ["an empty one", { cmd: [""] }],
    ["an interpreter alone", { runtime: "python" }],
  ])("refuses %s", async (_name, runtime) => {
    expect(await runner.fail({ runtime })).toMatchObject({
      code: "VALIDATION_ERROR",
      details: { issues: [{ path: "runtime.cmd" }] },
    });
  });

  test.each([
    ["an argument", { cmd: ["echo", "a\0b"] }],
    ["a variable", { cmd: ["echo"], env: { A: "a\0b" } }],
    ["the directory", { cmd: ["echo"], cwd: "a\0b" }],
  ])("starts nothing with NUL in %s, though the document was not checked", async (_name, rest) => {
    const runtime: JobRuntime = { mode: "process", ...rest };
    const document = { ...createJobDocument({ operation: "process.run" }), runtime };
    const { error, outcome } = await runner.run({ document });
    expect(error?.retryable).toBe(false);
    expect(outcome).toEqual({});
  });

  test("reports arguments that are too long for the kernel, without harm to the worker", async () => {
    const error = await runner.fail({ runtime: { cmd: ["echo", "x".repeat(3_000_000)] } });
    expect(error).toMatchObject({ code: "EXECUTION_ERROR", retryable: false });
  });

  test.each([undefined, "handler", "image", "sandbox"] as const)(
    "runs nothing for runtime.mode %s, whatever the operation",
    async (mode) => {
      const job = {
        runtime:
          mode === undefined
            ? undefined
            : { mode, cmd: ["echo", "owned"], ...(mode !== "handler" && { image: "a" }) },
      };
      const { outcome, error } = await runner.run({ job });
      expect(error?.code).toBe("RUNTIME_NOT_SUPPORTED");
      expect(outcome.stdout).toBeUndefined();
    },
  );

  test.each([
    { killGraceMs: -1 },
    { killGraceMs: 2 ** 31 },
    { maxStdoutBytes: Number.NaN },
    { maxStderrBytes: Infinity },
    { memoryMb: 0 },
    { pids: 1.5 },
  ])("refuses the option %o", (options) => {
    expect(() => processHandler(options)).toThrow(RangeError);
  });
});

describe("standard input", () => {
  const cat = { cmd: ["cat"] };

  test("is the payload by default, and nothing of the rest of the job", async () => {
    const { stdout = "" } = await runner.succeed({
      runtime: cat,
      data: { n: 1 },
      job: { jobId: "stdin-1", audit: { submittedBy: "secret" } },
    });
    expect(stdout.indexOf("\n")).toBe(stdout.length - 1);
    expect(JSON.parse(stdout)).toEqual({
      job_id: "stdin-1",
      operation: "process.run",
      payload: { type: "process.run.v1", data: { n: 1 } },
      attempt: 1,
    });
  });

  test("is the whole document when the job wants it", async () => {
    const { stdout = "" } = await runner.succeed({
      runtime: { ...cat, input: { stdin: "job" } },
      job: { jobId: "stdin-2", audit: { submittedBy: "ada" } },
    });
    expect(JSON.parse(stdout)).toMatchObject({
      version: "1.0",
      job_id: "stdin-2",
      audit: { submitted_by: "ada" },
      runtime: { mode: "process", input: { stdin: "job" } },
    });
  });

  test("is the document as it came in when it was converted from an older version", async () => {
    const original = { protocol_version: 1, job_id: "v0-1", task: { type: "echo" } };
    const runtime = { mode: "process", cmd: ["cat"], input: { stdin: "job" } } as const;
    const document = { ...createJobDocument({ operation: "process.run", runtime }), original };
    const { stdout = "" } = await runner.succeed({ document });
    expect(JSON.parse(stdout)).toEqual(original);
  });

  test("is empty and closed when the job wants none", async () => {
    const { stdout } = await runner.succeed({ runtime: { ...cat, input: { stdin: "none" } } });
    expect(stdout).toBe("");
  });

  test("may be left unread", async () => {
    const data = "x".repeat(900_000);
    const { stdout } = await runner.succeed({
      runtime: script("exec 0<&-; echo done"),
      data: { data },
    });
    expect(stdout).toBe("done\n");
  });

  test("passes a large payload on whole", async () => {
    const { stdout } = await runner.succeed({
      runtime: { cmd: ["wc", "-c"], params: { delivery: "stdin", format: "json" } },
      data: { data: "x".repeat(900_000) },
    });
    expect(Number(stdout)).toBe(900_012);
  });
});

describe("environment", () => {
  async function environmentOf(runtime: Parameters<ProcessRunner["run"]>[0]) {
    const { stdout = "" } = await runner.succeed({
      ...runtime,
      runtime: { cmd: ["env", "-0"], ...runtime.runtime },
    });
    return Object.fromEntries(
      stdout
        .split("\0")
        .filter((line) => line !== "")
        .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
    );
  }

  test("holds nothing of the worker's but PATH, LANG and TZ", async () => {
    process.env["LONGSHORE_TEST_SECRET"] = "secret";
    process.env["TZ"] = "Asia/Tokyo";
    try {
      const env = await environmentOf({ job: { jobId: "env-1" } });
      expect(
        Object.keys(env)
          .filter((name) => name !== "LANG")
          .toSorted(),
      ).toEqual([
        "HOME",
        "LONGSHORE_ATTEMPT",
        "PATH",
        "TZ",
        "WORKER_ARTIFACTS_DIR",
        "WORKER_ATTEMPT",
        "WORKER_ID",
        "WORKER_JOB_ID",
        "WORKER_OPERATION",
        "WORKER_WORK_DIR",
      ]);
      expect(env).toMatchObject({
        PATH: process.env["PATH"],
        TZ: "Asia/Tokyo",
        HOME: env["WORKER_WORK_DIR"],
        WORKER_JOB_ID: "env-1",
        WORKER_OPERATION: "process.run",
        WORKER_ATTEMPT: "1",
        WORKER_ID: "worker-1",
        WORKER_ARTIFACTS_DIR: `${env["WORKER_WORK_DIR"]}/artifacts`,
      });
    } finally {
      delete process.env["LONGSHORE_TEST_SECRET"];
      delete process.env["TZ"];
    }
  });

  test("takes the job's variables as text; null removes one", async () => {
    const env = await environmentOf({
      runtime: { env: { N: 1.5, YES: true, EMPTY: "", HOME: null } },
    });
    expect(env).toMatchObject({ N: "1.5", YES: "true", EMPTY: "" });
    expect(env).not.toHaveProperty("HOME");
  });

  test("F9: a variable's value is a value, whatever is in it", async () => {
    const values = {
      NEWLINE: "a\nEVIL=1",
      FLAG: "--privileged",
      QUOTES: `'"$(id)\``,
      docker_flag: "-v /:/host",
      UNICODE: "🚢 Ærø",
    };
    const env = await environmentOf({ runtime: { env: values } });
    expect(env).toMatchObject(values);
    expect(env).not.toHaveProperty("EVIL");
  });

  test("F9: words that look like options of the wrapping tools go to the program", async () => {
    const { stdout } = await runner.succeed({
      runtime: { cmd: ["printf", "%s|", "--as=1", "--pdeathsig", "--"], limits: { memoryMb: 512 } },
    });
    expect(stdout).toBe("--as=1|--pdeathsig|--|");
  });

  test("does not let a job change what the worker says", async () => {
    const env = await environmentOf({
      runtime: { env: { WORKER_JOB_ID: "other", LONGSHORE_ATTEMPT: "x" } },
      job: { jobId: "env-2" },
    });
    expect(env["WORKER_JOB_ID"]).toBe("env-2");
    expect(env["LONGSHORE_ATTEMPT"]).not.toBe("x");
  });

  test("passes the trace context on", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const env = await environmentOf({ job: { observability: { traceparent } } });
    expect(env["TRACEPARENT"]).toBe(traceparent);
  });

  test("takes the host's variables for the job", async () => {
    const env = await environmentOf({
      job: { jobId: "env-3" },
      handler: { environment: ({ jobId }) => ({ WORKER_API_TOKEN: `token of ${jobId}` }) },
    });
    expect(env["WORKER_API_TOKEN"]).toBe("token of env-3");
  });
});

describe("files and directories", () => {
  test("lays text and bytes down with their modes", async () => {
    const { stdout } = await runner.succeed({
      runtime: script('stat -c "%a %s %n" a/text bytes; cat a/text', {
        files: {
          "a/text": { content: "Ærø\n" },
          bytes: { base64: Buffer.from([0, 255, 1]).toString("base64"), mode: "0777" },
        },
      }),
    });
    expect(stdout).toBe("644 6 a/text\n777 3 bytes\nÆrø\n");
  });

  test.each([
    ["a url", { x: { url: "https://example.com/x" } }],
    ["a file below a file", { x: { content: "" }, "x/y": { content: "" } }],
    ["a file in place of the artifacts", { artifacts: { content: "" } }],
    ["a name that is too long", { ["x".repeat(300)]: { content: "" } }],
  ])("refuses %s", async (_name, files) => {
    expect(await runner.fail({ runtime: { cmd: ["true"], files } })).toMatchObject({
      code: "VALIDATION_ERROR",
      phase: "validation",
    });
  });

  test.each(["/etc/x", "../x", "a/../../x", "a//b", ""])(
    "refuses the path %j before it gets here",
    async (path) => {
      const run = runner.run({ runtime: { cmd: ["true"], files: { [path]: { content: "" } } } });
      await expect(run).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    },
  );

  test("refuses files that are too large together", async () => {
    const files = { a: { content: "x".repeat(600) }, b: { content: "x".repeat(600) } };
    const error = await runner.fail({
      runtime: { cmd: ["true"], files },
      handler: { maxFileBytes: 1_000 },
    });
    expect(error.code).toBe("LIMIT_EXCEEDED");
  });

  test("starts in a directory of the job's choice", async () => {
    const { stdout } = await runner.succeed({
      runtime: { cmd: ["sh", "-c", 'echo "${PWD#$WORKER_WORK_DIR}"'], cwd: "a/b" },
    });
    expect(stdout).toBe("/a/b\n");
  });

  test.each(["/", "/tmp", "..", "a/../../b"])("refuses to start in %j", async (cwd) => {
    const error = await runner.fail({ runtime: { cmd: ["true"], cwd } });
    expect(error.code).toBe("VALIDATION_ERROR");
  });

  test("refuses to start in a file", async () => {
    const error = await runner.fail({
      runtime: { cmd: ["true"], cwd: "f", files: { f: { content: "" } } },
    });
    expect(error.code).toBe("VALIDATION_ERROR");
  });

  test("leaves no work directory behind", async () => {
    const { workDirs } = await runner.run({
      runtime: script("mkdir -p deep/er; touch deep/er/file; chmod 500 deep/er; exit 3"),
    });
    expect(workDirs).toEqual([]);
  });
});

describe("another user", () => {
  const isRoot = process.getuid?.() === 0;

  test.runIf(isRoot)("runs as a numeric user who owns the work directory", async () => {
    const { stdout } = await runner.succeed({
      runtime: script(
        'id -u; id -g; id -G; touch new artifacts/x sub/y && cat "$WORKER_PARAMS_FILE"',
        {
          user: "65534:65533",
          files: { "sub/f": { content: "" } },
          params: { delivery: "file", format: "json" },
        },
      ),
      data: { a: 1 },
    });
    expect(stdout).toBe('65534\n65533\n65533\n{"a":1}\n');
  });

  test.runIf(isRoot)("may write to the directory it starts in", async () => {
    const runtime = { cmd: ["touch", "file"], cwd: "a/b", user: "65534" };
    expect((await runner.succeed({ runtime })).stderr).toBe("");
  });

  test.runIf(isRoot)("says so when that user cannot reach the work directory", async () => {
    await using closed = await ProcessRunner.open();
    await chmod(closed.root, 0o700);
    const error = await closed.fail({ runtime: { cmd: ["true"], user: "65534" } });
    expect(error.code).toBe("RUNTIME_NOT_SUPPORTED");
    expect(error.message).toContain(closed.root);
  });

  test.each(["nobody", "1:2:3", "-1", "4294967295", "0:4294967295", "1; id"])(
    "refuses the user %j",
    async (user) => {
      const error = await runner.fail({ runtime: { cmd: ["true"], user } });
      expect(error.code).toBe("RUNTIME_NOT_SUPPORTED");
    },
  );
});
