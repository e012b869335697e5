import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  allowAllPolicy,
  startWorker,
  type AdmissionOverrides,
  type JobRuntime,
  type Worker,
} from "@longshore/core";
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
    const result = await job.result({ signal: AbortSignal.timeout(15_000) });
    expect(result).toMatchObject({ status: "failed", error: { code: "RUNTIME_NOT_SUPPORTED" } });
    expect(result.stdout).toBeUndefined();
  });

  test("runs any operation of mode process here", async () => {
    await using open = await openWorker({ allowedModes: ["process"] });
    const job = await open.worker.submit({
      operation: "demo.hello",
      runtime: { mode: "process", cmd: ["sh", "-c", 'echo "$WORKER_OPERATION"'] },
    });
    expect(await job.result({ signal: AbortSignal.timeout(15_000) })).toMatchObject({
      status: "completed",
      exitCode: 0,
      stdout: "demo.hello\n",
    });
  });

  /**
   * A job of three processes: itself, one that does not listen to SIGTERM, and a daemon: forked twice, in a session and
   * directory of its own, and deaf as well.
   */
  function familyOf(word: string): JobRuntime {
    const content = `
      sh -c 'trap "" TERM; sleep ${word}; true' &
      (cd /; setsid sh -c 'trap "" TERM HUP; sleep ${word}; true' </dev/null >/dev/null 2>&1 &)
      until [ "$(pgrep -xfc 'sleep ${word}')" = 2 ]; do :; done
      echo begun
      sleep ${word}
    `;
    return {
      mode: "process",
      cmd: ["sh", "job.sh"],
      files: { "job.sh": { content } },
    };
  }

  test("F4: leaves nothing running after a time-out, and tells what there was", async () => {
    await using open = await openWorker({ allowedModes: ["process"] });
    const word = String(87_000_000 + process.pid);
    const job = await open.worker.submit({
      operation: "demo.sleep",
      execution: { timeoutSeconds: 2 },
      runtime: familyOf(word),
    });
    const result = await job.result({ signal: AbortSignal.timeout(15_000) });
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
    const job = await open.worker.submit({ operation: "demo.sleep", runtime: familyOf(word) });
    await vi.waitFor(
      async () => {
        expect(await runningProcesses(word)).toHaveLength(3);
      },
      { timeout: 5_000 },
    );
    await job.cancel();
    expect(await job.result({ signal: AbortSignal.timeout(15_000) })).toMatchObject({
      status: "cancelled",
      stdout: "begun\n",
    });
    expect(await runningProcesses(word)).toEqual([]);
  });
});
