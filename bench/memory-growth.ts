import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allowAllPolicy, echoHandler, startWorker } from "@longshore/core";
import { sqliteJobStore } from "@longshore/store-sqlite";
import type { Row } from "./table.ts";

const jobCount = 100_000;
const batch = 500;
const megabyte = 1_048_576;

/** Memory of the process over 100,000 jobs on the durable store: it must not grow with the jobs. */
export async function benchMemoryGrowth(): Promise<readonly Row[]> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-bench-"));
  try {
    await using store = sqliteJobStore({ path: join(directory, "jobs.db") });
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [echoHandler],
      store,
      maxConcurrentJobs: 64,
    });
    const heapAt = new Map<number, number>();
    for (let done = 0; done < jobCount; done += batch) {
      await Promise.all(
        Array.from({ length: batch }, async (_, index) => {
          const job = await worker.submit({ operation: "system.echo", data: { index } });
          await job.result();
        }),
      );
      heapAt.set(done + batch, usedHeap());
    }
    const early = heapAt.get(20_000) ?? Number.NaN;
    const late = heapAt.get(jobCount) ?? Number.NaN;
    return [
      { name: "heap in use after 20,000 jobs", value: early / megabyte, unit: "MiB" },
      {
        name: "heap in use after 100,000 jobs",
        value: late / megabyte,
        unit: "MiB",
        ratio: late / early,
        target: "flat (<= 1.2x)",
      },
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function usedHeap(): number {
  // Only what is still reachable counts; `npm run bench` allows the call.
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
