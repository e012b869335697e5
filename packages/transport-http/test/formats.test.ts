import { spawn, spawnSync } from "node:child_process";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { describe, expect, it } from "vitest";
import { post, serveWorker, wireJob } from "./fixtures/served-worker.ts";

const promtool = spawnSync("promtool", ["--version"]).error === undefined;
const skipReason = promtool ? "" : " (skipped: promtool is not here; apt-get install prometheus)";
if (!promtool && process.env["CI"] === "true") throw new Error(`promtool is needed${skipReason}`);

describe("/metrics", () => {
  it.skipIf(!promtool)(`are what Prometheus reads, without a complaint${skipReason}`, async () => {
    await using served = await serveWorker();
    for (const [id, operation] of [
      ["m1", "system.echo"],
      ["m2", "test.failing"],
    ] as const) {
      await post(`${served.baseUrl}/jobs?wait=30s`, wireJob(id, operation));
    }
    const text = await (await fetch(`${served.baseUrl}/metrics`)).text();
    const child = spawn("promtool", ["check", "metrics"], { stdio: ["pipe", "pipe", "pipe"] });
    child.stdin.end(text);
    let complaints = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => {
        complaints += chunk.toString();
      });
    }
    const exitCode = await new Promise((resolve) => child.once("close", resolve));
    expect({ exitCode, complaints }).toEqual({ exitCode: 0, complaints: "" });
    expect(text).toContain('worker_jobs_total{operation="test.failing",status="failed"} 1');
  });
});

describe("/openapi.json", () => {
  it("passes the recommended rules of a linter", async () => {
    await using served = await serveWorker({ admin: true });
    const source = await (await fetch(`${served.baseUrl}/openapi.json`)).text();
    const config = await createConfig({ extends: ["recommended"] });
    const problems = await lintFromString({ source, absoluteRef: "openapi.json", config });
    expect(
      problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer]),
    ).toEqual([]);
  });
});

describe("version 0", () => {
  it("is spoken to whoever speaks it", async () => {
    await using served = await serveWorker();
    const job = (jobId: string, type: string) => ({
      protocol_version: 1,
      job_id: jobId,
      task: { type, payload: { n: 1 } },
      runtime: { mode: "image", image: "alpine:3", limits: { max_runtime_seconds: 20 } },
    });
    const { baseUrl } = served;
    const sent = await post(`${baseUrl}/jobs`, job("z1", "greet"));
    expect(sent.status).toBe(202);
    expect(await sent.json()).toMatchObject({ accepted: true, job_id: "z1", state: "queued" });
    const result = await fetch(`${baseUrl}/jobs/z1/result?wait=30s`);
    const record = {
      job_id: "z1",
      state: "finished",
      exit_code: 0,
      stdout: "started\nfinished\n",
      stderr: "a warning\n",
      error: null,
    };
    expect(await result.json()).toMatchObject(record);
    expect(await (await fetch(`${baseUrl}/jobs/z1`)).json()).toMatchObject(record);
    await post(`${baseUrl}/jobs`, job("z2", "wait"));
    await fetch(`${baseUrl}/jobs/z2?wait=2s`);
    const running = await fetch(`${baseUrl}/jobs/z2`);
    expect(await running.json()).toMatchObject({ state: "running", finished_at: null });
    const cancelled = await fetch(`${baseUrl}/jobs/z2`, { method: "DELETE" });
    expect(await cancelled.json()).toMatchObject({ job_id: "z2", state: "running" });
    const end = await fetch(`${baseUrl}/jobs/z2/result?wait=30s`);
    expect(await end.json()).toMatchObject({ state: "failed", error: { code: "CANCELLED" } });
    const refused = await post(`${baseUrl}/jobs`, { protocol_version: 1, job_id: "z3" });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({
      accepted: false,
      job_id: "z3",
      state: "rejected",
    });
  });
});
