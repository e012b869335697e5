import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allowAllPolicy, startWorker, type AdmissionOverrides, type Worker } from "@longshore/core";
import { describe, expect, test, vi } from "vitest";
import { processHandler } from "../src/index.ts";
import { runningProcesses } from "./process-run.ts";

interface OpenWorker extends AsyncDisposable {
  readonly worker: Worker;
}

async function openWorker(admission: AdmissionOverrides): Promise<OpenWorker> {
  const root = await mkdtemp(join(tmpdir(), "longshore-process-worker-"));
  const worker = await startWorker({
    handlers: [processHandler({ killGraceMs: 300 })],
    policy: allowAllPolicy(),
    admission,
    workDir: join(root, "work"),
    artifactsDir: join(root, "artifacts"),
  });
  return {
    worker,
    async [Symbol.asyncDispose]() {
      await worker[Symbol.asyncDispose]();
      await rm(root, { recursive: true, force: true });
    },
  };
}

const signal = AbortSignal.timeout(15_000);

describe("a worker", () => {
  test("refuses processes unless its rules allow the mode", async () => {
    await using open = await openWorker({});
    const runtime = { mode: "process", cmd: ["true"] } as const;
    await expect(open.worker.submit({ operation: "a.b", runtime })).rejects.toMatchObject({
      code: "RUNTIME_NOT_SUPPORTED",
    });
  });

  test("runs no process for a document that names the operation and hides the mode", async () => {
    await using open = await openWorker({});
    const runtime = { mode: "handler", cmd: ["echo", "owned"] } as const;
    const job = await open.worker.submit({ operation: "process.run", runtime });
    const result = await job.result({ signal });
    expect(result).toMatchObject({ status: "failed", error: { code: "RUNTIME_NOT_SUPPORTED" } });
    expect(result.stdout).toBeUndefined();
  });

  test("runs any operation of mode process here", async () => {
    await using open = await openWorker({ allowedModes: ["process"] });
    const job = await open.worker.submit({
      operation: "demo.hello",
      runtime: { mode: "process", cmd: ["sh", "-c", 'echo "$WORKER_OPERATION"'] },
    });
    expect(await job.result({ signal })).toMatchObject({
      status: "completed",
      exitCode: 0,
      stdout: "demo.hello\n",
    });
  });

  test("F4: leaves nothing running after a time-out, and tells what there was", async () => {
    await using open = await openWorker({ allowedModes: ["process"] });
    const word = String(87_000_000 + process.pid);
    const job = await open.worker.submit({
      operation: "demo.sleep",
      execution: { timeoutSeconds: 1 },
      runtime: { mode: "process", cmd: ["sh", "-c", `echo begun; sleep ${word} & sleep ${word}`] },
    });
    const result = await job.result({ signal });
    expect(result).toMatchObject({
      status: "timeout",
      error: { code: "TIMEOUT" },
      stdout: "begun\n",
      signal: "SIGTERM",
    });
    expect(await runningProcesses(word)).toEqual([]);
  });

  test("F4: leaves nothing running after a cancel", async () => {
    await using open = await openWorker({ allowedModes: ["process"] });
    const word = String(88_000_000 + process.pid);
    const job = await open.worker.submit({
      operation: "demo.sleep",
      runtime: { mode: "process", cmd: ["sh", "-c", `trap '' TERM; sleep ${word}; sleep ${word}`] },
    });
    await vi.waitFor(async () => {
      expect(await runningProcesses(word)).toHaveLength(1);
    });
    await job.cancel();
    expect(await job.result({ signal })).toMatchObject({ status: "cancelled" });
    expect(await runningProcesses(word)).toEqual([]);
  });
});
