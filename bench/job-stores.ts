import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createJobDocument, memoryJobStore, type JobResult, type JobStore } from "@longshore/core";
import { sqliteJobStore } from "@longshore/store-sqlite";
import type { Row } from "./table.ts";

const jobCount = 40_000;
const warmUpCount = 10_000;
/** Jobs that are under way at the same time */
const lanes = 256;
const owner = "bench";
const fence = { owner, attempt: 1 };

/** A job's whole life as a worker leads it: each step waits until the one before is stored. */
async function liveThrough(store: JobStore, index: number): Promise<void> {
  const document = createJobDocument({ operation: "system.echo", data: { index } });
  const { jobId } = document;
  const acceptedAtMs = Date.now();
  const leaseExpiresAtMs = acceptedAtMs + 60_000;
  await store.insert({ document, owner, acceptedAtMs, leaseExpiresAtMs });
  const startedAtMs = Date.now();
  await Promise.all([
    store.transition({ jobId, from: "queued", to: "assigned", fence }),
    store.transition({
      jobId,
      from: "assigned",
      to: "running",
      fence,
      patch: { startedAtMs, nextSequence: 3 },
    }),
  ]);
  const finishedAtMs = Date.now();
  const finishedAt = new Date(finishedAtMs).toISOString();
  const result: JobResult = {
    version: "1.0",
    jobId,
    operation: document.operation,
    status: "completed",
    workerId: owner,
    createdAt: document.createdAt,
    startedAt: finishedAt,
    finishedAt,
    executionSummary: {
      startedAt: finishedAt,
      durationSeconds: 0,
      durationMs: 0,
      queueWaitMs: 0,
      attempt: 1,
      maxAttempts: 1,
      workerVersion: "0.0.0",
    },
    data: { echo: { index } },
    history: [
      { attempt: 1, workerId: owner, startedAt: finishedAt, finishedAt, status: "completed" },
    ],
  };
  await store.finish({ jobId, from: "running", fence, result, finishedAtMs, nextSequence: 4 });
}

async function drive(store: JobStore, count: number): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await liveThrough(store, next);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

async function measure(name: string, store: JobStore): Promise<readonly Row[]> {
  await drive(store, warmUpCount);
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  await drive(store, jobCount);
  const seconds = (performance.now() - startedAt) / 1_000;
  const cpu = process.cpuUsage(cpuBefore);
  return [
    { name: `${name}: throughput`, value: jobCount / seconds, unit: "jobs/s" },
    { name: `${name}: processor time`, value: (cpu.user + cpu.system) / jobCount, unit: "us/job" },
  ];
}

/** The life of a job in each store, without a worker: insert, two steps, finish. */
export async function benchJobStores(): Promise<readonly Row[]> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-bench-"));
  try {
    await using memory = memoryJobStore();
    await using full = sqliteJobStore({ path: join(directory, "full.db") });
    await using normal = sqliteJobStore({
      path: join(directory, "normal.db"),
      synchronous: "normal",
    });
    return [
      ...(await measure("memory", memory)),
      ...(await measure("sqlite, every commit synced", full)),
      ...(await measure("sqlite, synced at checkpoints", normal)),
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
