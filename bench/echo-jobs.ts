import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  allowAllPolicy,
  echoHandler,
  memoryJobStore,
  startWorker,
  type JobStore,
} from "@longshore/core";
import { sqliteJobStore } from "@longshore/store-sqlite";
import { Queue, Worker as BullWorker } from "bullmq";
import { Redis } from "ioredis";
import { percentile } from "./percentile.ts";
import { startRedis, type Persistence } from "./redis-server.ts";
import type { Row } from "./table.ts";

const jobCount = 30_000;
const warmUpCount = 5_000;
/** Jobs that are submitted and not yet answered */
const inFlight = 256;
const concurrency = 64;

interface Measured {
  readonly jobsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Keeps `inFlight` jobs going until `count` are done; each takes as long as `run` says. */
async function drive(count: number, run: (index: number) => Promise<void>): Promise<number[]> {
  const latenciesMs: number[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      const startedAt = performance.now();
      await run(index);
      latenciesMs.push(performance.now() - startedAt);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return latenciesMs;
}

async function measure(run: (index: number) => Promise<void>): Promise<Measured> {
  await drive(warmUpCount, run);
  const startedAt = performance.now();
  const latenciesMs = await drive(jobCount, run);
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    jobsPerSecond: jobCount / seconds,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
  };
}

async function measureLongshore(store: JobStore): Promise<Measured> {
  await using worker = await startWorker({
    policy: allowAllPolicy(),
    handlers: [echoHandler],
    store,
    maxConcurrentJobs: concurrency,
  });
  return await measure(async (index) => {
    const job = await worker.submit({ operation: "system.echo", data: { index } });
    const { status, error } = await job.result();
    if (status !== "completed") throw new Error(`the job ${status}: ${error?.message ?? ""}`);
  });
}

/** The same work by BullMQ: one `add` per job, answered when its worker says `completed`. */
async function measureBullMq(persistence: Persistence): Promise<Measured> {
  await using redis = await startRedis(persistence);
  const { path } = redis;
  const connect = (): Redis => new Redis({ path, maxRetriesPerRequest: null });
  const connections = [connect(), connect()] as const;
  const waiting = new Map<string, () => void>();
  const queue = new Queue("echo", { connection: connections[0] });
  const worker = new BullWorker("echo", async (job) => ({ echo: job.data as unknown }), {
    connection: connections[1],
    concurrency,
    removeOnComplete: { count: 1_000 },
  });
  worker.on("completed", ({ id = "" }) => {
    waiting.get(id)?.();
    waiting.delete(id);
  });
  await worker.waitUntilReady();
  try {
    return await measure(async (index) => {
      const id = `job-${index}-${performance.now()}`;
      const answered = new Promise<void>((resolve) => waiting.set(id, resolve));
      await queue.add("echo", { index }, { jobId: id });
      await answered;
    });
  } finally {
    await worker.close();
    await queue.close();
    for (const connection of connections) connection.disconnect();
  }
}

/** Echo jobs through the memory and SQLite stores, beside BullMQ on a local Redis. */
export async function benchEchoJobs(): Promise<readonly Row[]> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-bench-"));
  try {
    const bull = await measureBullMq("none");
    const durableBull = await measureBullMq("always");
    await using memory = memoryJobStore();
    const inMemory = await measureLongshore(memory);
    await using sqlite = sqliteJobStore({ path: join(directory, "jobs.db") });
    const durable = await measureLongshore(sqlite);
    return [
      ...rows("BullMQ, Redis without persistence", bull, bull),
      ...rows("BullMQ, Redis that syncs every command", durableBull, bull),
      ...rows("Longshore, memory store", inMemory, bull),
      ...rows("Longshore, SQLite store (every commit synced)", durable, bull, true),
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function rows(
  ...[name, measured, peer, isTarget = false]: [string, Measured, Measured, boolean?]
): readonly Row[] {
  const target = (text: string): Partial<Row> => (isTarget ? { target: text } : {});
  return [
    {
      name: `${name}: throughput`,
      value: measured.jobsPerSecond,
      unit: "jobs/s",
      ratio: measured.jobsPerSecond / peer.jobsPerSecond,
      ...target(">= 3x BullMQ"),
    },
    { name: `${name}: p50`, value: measured.p50Ms, unit: "ms", ratio: measured.p50Ms / peer.p50Ms },
    {
      name: `${name}: p99`,
      value: measured.p99Ms,
      unit: "ms",
      ratio: measured.p99Ms / peer.p99Ms,
      ...target("< 1x BullMQ"),
    },
  ];
}
