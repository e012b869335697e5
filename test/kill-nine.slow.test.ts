import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createJobDocument, isTerminal, type JobDocument } from "@longshore/core";
import { sqliteJobStore } from "@longshore/store-sqlite";
import { submitJobFile } from "@longshore/transport-file";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

const isFull = process.env["LONGSHORE_TEST_SCALE"] === "full";
const jobCount = isFull ? 2_000 : 200;
const killCount = isFull ? 200 : 12;
const seed = Number(process.env["LONGSHORE_TEST_SEED"] ?? 20_261_121);
const workerIds = ["w1", "w2"] as const;

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "longshore-kill-"));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Numbers in [0, 1) that a seed decides (mulberry32). */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A worker process that is started again whenever it was killed. */
class KilledWorker {
  readonly #id: string;
  #child: ChildProcess | undefined;
  /** When each process of this worker was dead for certain */
  readonly deathsMs = new Map<number, number>();

  constructor(id: string) {
    this.#id = id;
  }

  start(): void {
    const program = join(import.meta.dirname, "fixtures", "killed-worker.ts");
    this.#child = spawn(
      process.execPath,
      ["--conditions=@longshore/source", "--no-warnings", program, this.#id, directory],
      { stdio: ["ignore", "ignore", "inherit"] },
    );
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    const dead = once(child, "exit");
    child.kill("SIGKILL");
    await dead;
    this.deathsMs.set(child.pid, Date.now());
  }
}

interface Run {
  readonly startMs: number;
  readonly pid: number;
  hasEnded: boolean;
}

async function runsByJob(): Promise<ReadonlyMap<string, Run[]>> {
  const runs = new Map<string, Run[]>();
  const journal = await readFile(join(directory, "journal.log"), "utf8");
  for (const line of journal.trim().split("\n")) {
    const [timeMs = "", what, jobId = "", , pid = ""] = line.split(" ");
    const known = runs.get(jobId) ?? [];
    if (what === "start") {
      known.push({ startMs: Number(timeMs), pid: Number(pid), hasEnded: false });
    } else {
      const run = known.findLast((candidate) => candidate.pid === Number(pid));
      if (run !== undefined) run.hasEnded = true;
    }
    runs.set(jobId, known);
  }
  return runs;
}

/** Every tenth job shares its idempotency key with the one after it. */
function jobs(): readonly JobDocument[] {
  return Array.from({ length: jobCount }, (_, index) =>
    createJobDocument({
      jobId: `job-${index}`,
      operation: "test.mark",
      data: { pair: Math.floor(index / 10) },
      execution: {
        maxAttempts: 100,
        queueTimeoutSeconds: 3_600,
        ...(index % 10 < 2 && { idempotencyKey: `pair-${Math.floor(index / 10)}` }),
      },
    }),
  );
}

async function namesIn(name: string): Promise<ReadonlySet<string>> {
  return new Set(await readdir(join(directory, name)).catch(() => []));
}

/** Jobs that have neither a result nor a refusal yet. */
async function unanswered(documents: readonly JobDocument[]): Promise<readonly string[]> {
  const [results, failed] = await Promise.all([namesIn("results"), namesIn("jobs/failed")]);
  return documents
    .map(({ jobId }) => jobId)
    .filter((jobId) => !results.has(`${jobId}-result.json`) && !failed.has(`${jobId}.error.json`));
}

describe("kill -9 of two workers on one jobs directory", () => {
  it(`loses no job and runs none twice at a time: ${killCount} kills over ${jobCount} jobs (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const workers = workerIds.map((id) => new KilledWorker(id));
    const documents = jobs();
    try {
      for (const worker of workers) worker.start();
      const submitting = submitSlowly(documents);
      for (let kills = 0; kills < killCount; kills += 1) {
        const worker = workers[Math.floor(random() * workers.length)];
        // The moment is what is tested: it must not depend on anything the worker does.
        await new Promise((resolve) => setTimeout(resolve, 100 + random() * 900));
        await worker?.kill();
        worker?.start();
      }
      await submitting;
      // An answer is there before its message is gone.
      await vi.waitFor(
        async () => {
          expect(await unanswered(documents)).toEqual([]);
          for (const id of workerIds) {
            expect(await namesIn(`jobs/.claimed/${id}`)).toSatisfy(isEmptyButOwner);
          }
        },
        { timeout: 120_000, interval: 100 },
      );
    } finally {
      for (const worker of workers) await worker.kill();
    }
    await checkAnswers(documents);
    const deaths = new Map<number, number>();
    for (const { deathsMs } of workers) {
      for (const [pid, timeMs] of deathsMs) deaths.set(pid, timeMs);
    }
    await checkRuns(deaths);
  });
});

/** Spreads the jobs over the kills. */
async function submitSlowly(documents: readonly JobDocument[]): Promise<void> {
  const pauseMs = (killCount * 500) / documents.length;
  for (const document of documents) {
    await submitJobFile({ jobsDir: join(directory, "jobs"), document });
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

async function checkAnswers(documents: readonly JobDocument[]): Promise<void> {
  await using store = sqliteJobStore({ path: join(directory, "jobs.db") });
  const firstResults = new Map<string, string[]>();
  for (const { jobId, execution } of documents) {
    const path = join(directory, "results", `${jobId}-result.json`);
    const text = await readFile(path, "utf8").catch(() => undefined);
    const key = execution.idempotencyKey;
    if (text === undefined) {
      // Only the second job of a pair may be refused, while the first one is under way.
      expect(key, `${jobId} has no result`).toBeDefined();
      continue;
    }
    const answer = JSON.parse(text) as {
      status: string;
      execution_summary: { deduplicated_from?: string };
    };
    const record = await store.get(jobId);
    expect(record?.state, `${jobId} is answered without a stored result`).toBe(answer.status);
    expect(isTerminal(record?.state ?? "queued")).toBe(true);
    expect(answer.status, jobId).toBe("completed");
    if (key !== undefined && answer.execution_summary.deduplicated_from === undefined) {
      firstResults.set(key, [...(firstResults.get(key) ?? []), jobId]);
    }
  }
  for (const [key, jobIds] of firstResults) {
    expect(jobIds, `${key} completed more than once`).toHaveLength(1);
  }
  expect(await namesIn("jobs/.claimed/w1")).toSatisfy(isEmptyButOwner);
  expect(await namesIn("jobs/.claimed/w2")).toSatisfy(isEmptyButOwner);
}

function isEmptyButOwner(names: ReadonlySet<string>): boolean {
  return [...names].every((name) => name.startsWith(".owner"));
}

/** A job may run again only after the process that ran it before is dead. */
async function checkRuns(deathsMs: ReadonlyMap<number, number>): Promise<void> {
  for (const [jobId, runs] of await runsByJob()) {
    runs.forEach((run, index) => {
      const before = runs[index - 1];
      if (before === undefined) return;
      const diedMs = deathsMs.get(before.pid) ?? Infinity;
      expect(
        before.pid === run.pid || diedMs <= run.startMs + 5,
        `${jobId} ran in ${run.pid} while ${before.pid} was alive`,
      ).toBe(true);
      if (before.pid === run.pid) expect(before.hasEnded).toBe(true);
    });
  }
}
