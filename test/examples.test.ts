import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { loadConfig } from "@longshore/core";
import { describe, expect, it } from "vitest";
import { cleanEnv } from "./fixtures/longshore.ts";

const root = join(import.meta.dirname, "..");
const execute = promisify(execFile);

function runExample(path: string): Promise<{ readonly stdout: string }> {
  return execute(
    process.execPath,
    ["--conditions=@longshore/source", "--no-warnings", join(root, path)],
    { timeout: 55_000, env: cleanEnv() },
  );
}

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
    ]) {
      expect(stdout).toMatch(new RegExp(`│ ${job} .*│ ${outcome} `));
    }
    expect(stdout).toContain("the worker stopped with exit code 0");
    const results = /^results\s+(\S+)$/m.exec(stdout)?.[1];
    expect(results).toBeDefined();
    expect(await readdir(results ?? "")).toContain("charge-2-result.json");
  });
});
