import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { longshore, longshoreWorker } from "./fixtures/longshore.ts";

const containerChecks = ["runc", "crun", "runsc", "cgroups", "seccomp", "network"];
let cwd = "";
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), "longshore-cli-"));
});
afterEach(async () => {
  await rm(cwd, { recursive: true, force: true });
});

const startWorker = (...args: readonly string[]) =>
  longshoreWorker(["--home", join(cwd, "home"), "--worker-id", "w1", ...args], { cwd });
const run = (...args: readonly string[]) => longshore(args, { cwd });

async function configFile(config: object): Promise<string> {
  const path = join(cwd, "worker.json");
  await writeFile(path, JSON.stringify(config));
  return path;
}

describe("longshore worker and submit", () => {
  it("run a job, print its result, and end cleanly on SIGTERM", async () => {
    await using worker = await startWorker();
    const what = ["--operation", "system.echo", "--data", '{"a":1}', "--id", "e1"];
    const { exitCode, stdout } = await run("submit", ...what, "--wait");
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      job_id: "e1",
      status: "completed",
      worker_id: "w1",
      data: { echo: { a: 1 } },
    });
    expect(await worker.end("SIGTERM")).toBe(0);
    const listed = await run("jobs", "list", "--home", "home");
    expect(JSON.parse(listed.stdout)).toMatchObject({ job_id: "e1", state: "completed" });
    const shown = await run("jobs", "show", "e1", "--home", "home");
    expect(JSON.parse(shown.stdout)).toMatchObject({
      document: { operation: "system.echo" },
      result: { status: "completed" },
    });
  });

  it("refuse a process unless the configuration allows it, and say which setting", async () => {
    await using _worker = await startWorker();
    await writeFile(
      join(cwd, "p.yaml"),
      'version: "1.0"\njob_id: p1\noperation: demo.run\nruntime: {mode: process, runtime: native, cmd: ["true"]}\n',
    );
    const { exitCode, stderr } = await run("submit", "p.yaml", "--wait");
    expect(exitCode).toBe(3);
    expect(stderr).toContain("policy.allowed_modes");
    expect(await readdir(join(cwd, "jobs", "failed"))).toEqual([
      "p1.error.json",
      "p1.json",
      "p1.reason.txt",
    ]);
  });

  it("tell a job that failed from one that completed by the exit code", async () => {
    const config = await configFile({ policy: { allowed_modes: ["process"] } });
    await using _worker = await startWorker("--config", config);
    await writeFile(
      join(cwd, "p.json"),
      JSON.stringify({
        version: "1.0",
        job_id: "p1",
        operation: "demo.run",
        runtime: { mode: "process", runtime: "shell", cmd: ["-c", "echo out; exit 3"] },
      }),
    );
    const { exitCode, stdout } = await run("submit", "p.json", "--wait");
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      status: "failed",
      exit_code: 3,
      stdout: "out\n",
      error: { code: "NON_ZERO_EXIT" },
    });
  });

  it("cancel a running job from another terminal", async () => {
    const config = await configFile({ policy: { allowed_modes: ["process"] } });
    await using worker = await startWorker("--config", config);
    await writeFile(
      join(cwd, "p.json"),
      JSON.stringify({
        version: "1.0",
        job_id: "long",
        operation: "demo.run",
        runtime: { mode: "process", runtime: "native", cmd: ["sleep", "600"] },
      }),
    );
    const submitted = run("submit", "p.json", "--wait");
    await vi.waitFor(() => expect(worker.log()).toContain("job running"), { timeout: 20_000 });
    expect((await run("jobs", "cancel", "long", "--home", "home")).exitCode).toBe(0);
    const { exitCode, stdout } = await submitted;
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ status: "cancelled" });
  });

  it("stop at once when they are told twice, and start the job again next time", async () => {
    const config = await configFile({
      worker: { kill_grace_seconds: 1 },
      policy: { allowed_modes: ["process"] },
    });
    await writeFile(
      join(cwd, "p.json"),
      JSON.stringify({
        version: "1.0",
        job_id: "slow",
        operation: "demo.run",
        runtime: {
          mode: "process",
          runtime: "shell",
          cmd: ["-c", `test -e ${cwd}/second && exit 0; touch ${cwd}/second; exec sleep 600`],
        },
      }),
    );
    {
      await using worker = await startWorker("--config", config);
      await run("submit", "p.json");
      await vi.waitFor(async () => expect(await readdir(cwd)).toContain("second"), {
        timeout: 20_000,
      });
      worker.child.kill("SIGTERM");
      await vi.waitFor(() => expect(worker.log()).toContain("worker drains"), { timeout: 20_000 });
      expect(await worker.end("SIGTERM")).toBe(0);
    }
    await using _again = await startWorker("--config", config);
    const result = join(cwd, "results", "slow-result.json");
    await vi.waitFor(
      async () =>
        expect(JSON.parse(await readFile(result, "utf8"))).toMatchObject({
          status: "completed",
          execution_summary: { attempt: 1 },
        }),
      { timeout: 20_000 },
    );
  });

  it("lets one process work under an id at a time", async () => {
    await using _worker = await startWorker();
    const { exitCode, stderr } = await longshore(
      ["worker", "--home", join(cwd, "home"), "--worker-id", "w1"],
      { cwd },
    );
    expect(exitCode).toBe(2);
    expect(stderr).toContain("give each worker an id of its own");
  });
});

describe("longshore", () => {
  it.each([
    [["--help"], 0, "Exit codes:"],
    [["worker", "--help"], 0, "--detect-only"],
    [["wroker"], 2, "Did you mean worker?"],
    [["submit", "--nope"], 2, "unknown option"],
    [["submit"], 2, "--operation"],
    [["submit", "--operation", "Bad Name"], 2, "operation:"],
    [["submit", "--operation", "a.b", "--data", "{"], 2, "--data is not JSON"],
    [["submit", "no-such-file.json"], 4, "cannot be read"],
    [["jobs", "show", "x", "--home", "/nonexistent"], 4, "There is no job store"],
    [["jobs", "list", "--limit", "many"], 2, "whole number"],
    [["worker", "--config", "/nonexistent.yaml"], 2, "cannot be read"],
    [["schema", "nope"], 2, "there are job, result"],
  ])("%j ends with %i and says %s", async (args, expected, text) => {
    const { exitCode, stdout, stderr } = await run(...args);
    expect(exitCode).toBe(expected);
    expect(stdout + stderr).toContain(text);
  });

  it("names the key that was probably meant", async () => {
    const config = await configFile({ worker: { max_concurent_jobs: 2 } });
    const { exitCode, stderr } = await run("worker", "--config", config);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("did you mean worker.max_concurrent_jobs?");
  });

  it("tells what the machine can run, and what a worker would advertise", async () => {
    const doctor = JSON.parse((await run("doctor", "--home", "home")).stdout) as {
      ok: boolean;
      checks: { name: string; status: string; fix?: string }[];
    };
    expect(doctor.ok).toBe(true);
    expect(doctor.checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["node", "home", "runtimes", "prlimit"].concat(containerChecks)),
    );
    for (const { status, fix } of doctor.checks) if (status !== "ok") expect(fix).toBeDefined();
    const detected = await run("worker", "--detect-only", "--home", "home");
    expect(JSON.parse(detected.stdout)).toMatchObject({
      capabilities: { operations: ["process.run", "system.echo", "test.echo"] },
    });
  });

  it.each(["job", "result", "event", "error", "config"])(
    "prints the schema of %s",
    async (name) => {
      const { exitCode, stdout } = await run("schema", name);
      expect(exitCode).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ type: "object" });
    },
  );
});
