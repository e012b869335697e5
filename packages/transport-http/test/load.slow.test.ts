import { Agent, request } from "node:http";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createWorkerClient } from "../src/client/worker-client.ts";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startProgram, type Program } from "./fixtures/program.ts";
import { wireJob } from "./fixtures/served-worker.ts";

const isFull = process.env["LONGSHORE_TEST_SCALE"] === "full";
const readerCount = isFull ? 1_000 : 200;
const submitsPerSecond = isFull ? 200 : 50;
const ticks = isFull ? 100 : 30;
const idleCount = 20;
/**
 * What all this may add to what a worker needs by itself: some 100 KiB for each reader with its connection, pages that
 * they share, and what V8 lets lie.
 */
const maxGrowthBytes = 256 * 1_048_576;

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-load-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Submits jobs at a rate that does not wait for answers, until it is told to stop; how long each answer took. */
function submitSteadily(url: string, signal: AbortSignal): Promise<readonly number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const answers: Promise<number>[] = [];
  const submit = (index: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const startedAt = performance.now();
      const job = wireJob(`load-${index}`, "system.echo", { payload: { data: index } });
      const call = request(`${url}/jobs`, {
        method: "POST",
        agent,
        headers: { "content-type": "application/json" },
      });
      call.once("response", (response) => {
        response.resume().once("end", () => {
          if (response.statusCode === 202) resolve(performance.now() - startedAt);
          else reject(new Error(`a submit was answered ${response.statusCode}`));
        });
      });
      call.once("error", reject).end(JSON.stringify(job));
    });
  return new Promise((resolve) => {
    const startedAt = performance.now();
    const timer = setInterval(() => {
      const due = ((performance.now() - startedAt) / 1_000) * submitsPerSecond;
      while (answers.length < due) {
        const answer = submit(answers.length);
        answer.catch(() => undefined);
        answers.push(answer);
      }
      if (!signal.aborted) return;
      clearInterval(timer);
      resolve(Promise.all(answers).finally(() => agent.destroy()));
    }, 5);
  });
}

function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

async function maxRssBytes(worker: Program): Promise<number> {
  const answer = worker.next("maxRssBytes");
  worker.send("how much memory?");
  return Number((await answer)["maxRssBytes"]);
}

/** A worker in a process of its own, and where it is served. */
async function startLoadWorker(name: string): Promise<Program & { readonly url: string }> {
  const home = join(directory, name);
  await mkdir(home);
  const program = startProgram(new URL("./fixtures/load-worker.ts", import.meta.url), [home]);
  return { ...program, url: String((await program.next("url"))["url"]) };
}

/** How long the job took: in all, and without what the machine's other processes have taken. */
async function timesOf(
  url: string,
): Promise<{ readonly elapsedMs: number; readonly ownMs: number }> {
  const { data } = await createWorkerClient(url).result("ticking");
  return data as { readonly elapsedMs: number; readonly ownMs: number };
}

it(`${readerCount} readers lose nothing, and slow neither the job nor ${submitsPerSecond} submits a second`, async () => {
  await using worker = await startLoadWorker("crowded");
  // It does the same at the same time without readers: what else this machine does slows both.
  await using lonely = await startLoadWorker("lonely");
  const before = await maxRssBytes(worker);

  const startsAt = new Date(Date.now() + (isFull ? 5_000 : 2_000)).toISOString();
  const job = wireJob("ticking", "test.ticking", {
    payload: { data: { ticks } },
    execution: { not_before: startsAt },
  });
  for (const { url } of [worker, lonely]) await createWorkerClient(url).submitDocument(job);
  const events = `${worker.url}/jobs/ticking/events`;
  const idle = `${worker.url}/jobs/long/events`;
  await using crowd = startProgram(new URL("./fixtures/reader-crowd.ts", import.meta.url), [
    events,
    `${readerCount}`,
    idle,
    `${idleCount}`,
  ]);
  await crowd.next("begun");
  const seen = crowd.next("readers");
  const enough = new AbortController();
  const submitting = submitSteadily(worker.url, enough.signal);
  const story = await seen;
  enough.abort();
  const latenciesMs = await submitting;

  const alone = await timesOf(lonely.url);
  const crowded = await timesOf(worker.url);
  const growth = (await maxRssBytes(worker)) - before;
  process.stdout.write(
    `${[
      `the job alone ${alone.elapsedMs.toFixed(0)} ms, with readers ${crowded.elapsedMs.toFixed(0)} ms`,
      `without waits for a processor ${alone.ownMs.toFixed(0)} and ${crowded.ownMs.toFixed(0)} ms`,
      `${latenciesMs.length} submits: p50 ${percentile(latenciesMs, 0.5).toFixed(1)} ms, p99 ${percentile(latenciesMs, 0.99).toFixed(1)} ms`,
      `memory +${(growth / 1_048_576).toFixed(0)} MiB`,
    ].join("; ")}\n`,
  );
  expect(story).toEqual({
    readers: readerCount,
    fewest: story["most"],
    most: expect.any(Number) as number,
    faults: [],
  });
  expect(Number(story["most"])).toBeGreaterThan(ticks);
  expect(crowded.ownMs).toBeLessThan(alone.elapsedMs * 1.25);
  expect(growth).toBeLessThan(maxGrowthBytes);
});
