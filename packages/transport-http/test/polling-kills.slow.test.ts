import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { sqliteJobStore } from "@longshore/store-sqlite";
import { expect, it, vi } from "vitest";
import { createWorkerClient } from "../src/client/worker-client.ts";
import { startProgram, type Program } from "./fixtures/polling-program.ts";

const isFull = process.env["LONGSHORE_TEST_SCALE"] === "full";
const jobCount = isFull ? 400 : 30;
const killCount = isFull ? 40 : 2;

/** A port that was free a moment ago. */
async function freePort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return String(port);
}

it("kill -9 of masters and workers at any moment loses no job, and lets none end twice", async () => {
  const directory = await mkdtemp(join(tmpdir(), "longshore-kills-"));
  const path = join(directory, "master.db");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const client = createWorkerClient(url);
  const startMaster = (): Program => startProgram("polling-master.ts", path, port);
  const startWorker = (id: string): Program =>
    startProgram("polling-worker.ts", id, url, directory, "sqlite");
  let master = startMaster();
  await master.first();
  const workers = new Map(["w1", "w2"].map((id) => [id, startWorker(id)]));
  try {
    const ids: string[] = [];
    let submitted = 0;
    let isKilling = true;
    const submitting = (async () => {
      while (submitted < jobCount) {
        const jobId = `job-${submitted}`;
        try {
          await client.submit({
            jobId,
            operation: "test.mark",
            execution: { maxAttempts: 100, queueTimeoutSeconds: 3_600 },
          });
        } catch (error) {
          // It was taken, and the answer was lost with the master.
          const isThere = error instanceof Error && error.message.includes("already");
          if (!isThere) {
            await pause(20);
            continue;
          }
        }
        ids.push(jobId);
        submitted += 1;
        if (isKilling) await pause(10);
      }
    })();
    for (let kill = 0; kill < killCount; kill += 1) {
      await pause(300 + Math.random() * 1_200);
      const id = kill % 4 === 1 ? "w1" : "w2";
      if (kill % 2 === 0) {
        await master.kill();
        master = startMaster();
        await master.first();
      } else {
        await workers.get(id)?.kill();
        workers.set(id, startWorker(id));
      }
    }
    isKilling = false;
    await submitting;
    for (const jobId of ids) {
      const result = await client.result(jobId, { signal: AbortSignal.timeout(120_000) });
      expect(result).toMatchObject({ jobId, status: "completed" });
    }
    // What a killed worker left on its disk goes when it is there again: taken, or too late.
    await vi.waitFor(
      async () => {
        for (const id of workers.keys()) {
          expect(await readdir(join(directory, id, "answers"))).toEqual([]);
        }
      },
      { timeout: 60_000, interval: 100 },
    );
    for (const worker of workers.values()) await worker.kill();
    await master.kill();
    await using store = sqliteJobStore({ path, keepEvents: true });
    expect(await store.countByState()).toMatchObject({
      completed: jobCount,
      abandoned: 0,
      failed: 0,
    });
    for (const jobId of ids) {
      const events = (await store.events?.read(jobId, { limit: 1_000 })) ?? [];
      expect(events.filter(({ phase }) => phase === "completed")).toHaveLength(1);
    }
    const runs = (await readFile(join(directory, "runs"), "utf8")).trim().split("\n");
    expect(new Set(runs).size).toBe(jobCount);
  } finally {
    for (const worker of workers.values()) await worker.kill();
    await master.kill();
    await rm(directory, { recursive: true, force: true });
  }
});
