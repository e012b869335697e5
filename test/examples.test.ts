import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { loadConfig } from "@longshore/core";
import { leakChecker } from "@longshore/testkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pythonImage } from "../examples/demo/python-image.ts";
import { buildBusyboxImage } from "./fixtures/busybox-image.ts";
import { cleanEnv } from "./fixtures/longshore.ts";

const root = join(import.meta.dirname, "..");
const execute = promisify(execFile);

function runExample(
  path: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly stdout: string }> {
  return execute(
    process.execPath,
    ["--conditions=@longshore/source", "--no-warnings", join(root, path)],
    { timeout: 110_000, env: { ...cleanEnv(), TMPDIR: directory, ...env } },
  );
}

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-examples-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe("the examples", () => {
  it("embed-worker greets, in twenty lines of code", async () => {
    const { stdout } = await runExample("examples/embed-worker/main.ts");
    expect(stdout).toBe("completed { greeting: 'Hello, Ada!' }\n");
    const source = await readFile(join(root, "examples/embed-worker/main.ts"), "utf8");
    expect(source.split("\n").filter((line) => line.trim() !== "").length).toBeLessThanOrEqual(21);
  });

  it("the README shows embed-worker as it is", async () => {
    const readme = await readFile(join(root, "README.md"), "utf8");
    const source = await readFile(join(root, "examples/embed-worker/main.ts"), "utf8");
    expect(readme).toContain(`\`\`\`ts\n${source}\`\`\``);
  });

  it("polling-worker takes a job from a master, and brings its result back", async () => {
    const { stdout } = await runExample("examples/polling-worker/main.ts");
    expect(stdout.split("\n")).toEqual([
      "queued: The job was accepted.",
      "assigned: The job was assigned to behind-nat.",
      "running: The job runs on behind-nat.",
      "greeting: thinking of Ada",
      "completed: The job completed.",
      "completed on behind-nat { greeting: 'Hello, Ada!' }",
      "",
    ]);
  });

  it("worker-default.yaml says what the defaults are", async () => {
    const file = join(root, "examples/worker-default.yaml");
    const env = { PATH: process.env["PATH"] };
    const [named, plain] = await Promise.all([loadConfig({ file, env }), loadConfig({ env })]);
    const { transports, worker, ...rest } = named.config;
    const { transports: _none, worker: plainWorker, ...plainRest } = plain.config;
    expect(transports).toHaveLength(1);
    expect({ ...worker, resultsDir: "" }).toEqual({ ...plainWorker, resultsDir: "" });
    expect({ ...rest, policy: { ...rest.policy, defaults: {}, max: {} } }).toEqual({
      ...plainRest,
      policy: { ...plainRest.policy, defaults: {}, max: {} },
    });
  });

  it("the demo shows what became of every kind of job, and stops cleanly", async () => {
    const { stdout } = await runExample("examples/demo/main.ts");
    for (const [job, outcome] of [
      ["echo", "completed"],
      ["word-count", "completed"],
      ["inspect-disk", "completed"],
      ["too-slow", "timeout"],
      ["unwanted", "cancelled"],
      ["charge-1", "completed"],
      ["charge-2", "completed"],
      ["broken", "refused"],
      ["in-container", "completed"],
    ]) {
      expect(stdout).toMatch(new RegExp(`│ ${job} .*│ ${outcome} `));
    }
    expect(stdout).toContain("the worker stopped with exit code 0");
    const results = /^results\s+(\S+)$/m.exec(stdout)?.[1];
    expect(results).toBeDefined();
    expect(await readdir(results ?? "")).toContain("charge-2-result.json");
  });

  it("the demo's image is there from the cache, or it says what is missing", async () => {
    const steps: string[] = [];
    const layout = await pythonImage((step) => steps.push(step));
    expect(await pythonImage(() => steps.push("again"))).toBe(layout);
    expect(steps).not.toContain("again");
    vi.stubEnv("XDG_CACHE_HOME", directory);
    vi.stubEnv("PATH", "/nonexistent");
    await expect(pythonImage(() => {})).rejects.toThrow("mmdebstrap is not installed");
    vi.unstubAllEnvs();
    expect(await readdir(join(directory, "longshore"))).toEqual([]);
  });

  it("sandbox and agent-tools use containers of their own, and leave none", async () => {
    const checker = await leakChecker({ marks: ["examples0", directory], roots: [directory] });
    const image = await buildBusyboxImage(directory);
    const env = { EXAMPLES_HOME: join(directory, "home"), SANDBOX_IMAGE: image };
    const sandbox = await runExample("examples/sandbox/main.ts", env);
    expect(sandbox.stdout.split("\n")).toEqual(
      expect.arrayContaining([
        "run: 42",
        "error: 1 ls: /nothing-like-this: No such file or directory",
        "files: 1 2 3",
        "server: listening",
        "port: HTTP/1.1 200 OK",
        "exposed: 200 6 bytes",
      ]),
    );
    const agent = await runExample("examples/agent-tools/main.ts", env);
    expect(agent.stdout).toContain("tools: bash, read_file, write_file, list_files\n");
    expect(agent.stdout).toContain("--- stdout\n15\n");
    expect(agent.stdout).toContain("POLICY_DENIED: service:agent may not execute tool:write_file.");
    await checker.check();
  });
});
