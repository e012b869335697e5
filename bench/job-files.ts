import { renameSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  allowAllPolicy,
  createJobDocument,
  echoHandler,
  encodeJobDocument,
  startWorker,
} from "@longshore/core";
import { sqliteJobStore } from "@longshore/store-sqlite";
import { fileTransport, waitForResult } from "@longshore/transport-file";
import { percentile } from "./percentile.ts";
import type { Row } from "./table.ts";

const singleCount = 300;
const fileCount = 5_000;

/** Jobs as files: the time of one from rename to result, and how many a second when they come all at once. */
export async function benchJobFiles(): Promise<readonly Row[]> {
  const directory = await mkdtemp(join(tmpdir(), "longshore-bench-"));
  const jobsDir = join(directory, "jobs");
  const resultsDir = join(directory, "results");
  const staging = join(directory, "staging");
  await mkdir(staging);
  try {
    await using store = sqliteJobStore({ path: join(directory, "jobs.db") });
    await using _worker = await startWorker({
      id: "bench",
      policy: allowAllPolicy(),
      handlers: [echoHandler],
      store,
      maxConcurrentJobs: 64,
      transports: [fileTransport({ jobsDir, resultsDir })],
    });
    const latenciesMs: number[] = [];
    for (let number = 0; number < singleCount; number += 1) {
      const jobId = await stage();
      const waiting = waitForResult({ jobsDir, resultsDir, jobId });
      const startedAt = performance.now();
      await rename(join(staging, `${jobId}.json`), join(jobsDir, `${jobId}.json`));
      await waiting;
      latenciesMs.push(performance.now() - startedAt);
    }
    const jobIds: string[] = [];
    for (let number = 0; number < fileCount; number += 1) jobIds.push(await stage());
    const answered = whenAnswered(resultsDir, singleCount + fileCount);
    const startedAt = performance.now();
    // Without a turn of the event loop in between, or the worker would slow down what it is to be flooded with.
    for (const jobId of jobIds) {
      renameSync(join(staging, `${jobId}.json`), join(jobsDir, `${jobId}.json`));
    }
    await answered;
    const seconds = (performance.now() - startedAt) / 1_000;
    return [
      {
        name: "one file, rename to result: p50",
        value: percentile(latenciesMs, 0.5),
        unit: "ms",
        target: "< 25 ms",
      },
      { name: "one file, rename to result: p99", value: percentile(latenciesMs, 0.99), unit: "ms" },
      {
        name: "5,000 files at once",
        value: fileCount / seconds,
        unit: "jobs/s",
        target: ">= 1,500 jobs/s",
      },
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }

  async function stage(): Promise<string> {
    const document = createJobDocument({ operation: "system.echo", data: { message: "hello" } });
    const text = JSON.stringify(encodeJobDocument(document));
    await writeFile(join(staging, `${document.jobId}.json`), text);
    return document.jobId;
  }
}

/** Resolves when the directory holds as many results. */
async function whenAnswered(resultsDir: string, count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isLooking = false;
  const look = async (): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    const names = await readdir(resultsDir);
    isLooking = false;
    if (names.filter((name) => name.endsWith("-result.json")).length >= count) resolve();
  };
  // Reading thousands of names per event would be measured too: a look now and then is enough.
  const timer = setInterval(() => void look(), 25);
  await promise;
  clearInterval(timer);
}
