import { existsSync } from "node:fs";
import { mkdir, open, stat, writeFile } from "node:fs/promises";
import { DatabaseSync, StatementSync } from "node:sqlite";
import type { Worker } from "node:worker_threads";
import type { JobStore, NewJob } from "@longshore/core";
import { sampleJob, sampleResult } from "@longshore/testkit";
import { describe, expect, it, vi } from "vitest";
import { sqliteJobStore } from "../src/index.ts";
import { createStoreDirectory } from "./store-process.ts";

const owner = "w1";
const fence = { owner, attempt: 1 };
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function run(store: JobStore, job: NewJob): Promise<void> {
  const { jobId } = job.document;
  const result = sampleResult(job.document);
  await Promise.all([
    store.insert(job),
    store.transition({ jobId, from: "queued", to: "assigned", fence }),
    store.transition({ jobId, from: "assigned", to: "running", fence }),
    store.finish({ jobId, from: "running", fence, result, finishedAtMs: 1 }),
  ]);
}

/** Opens a store and catches its thread: the real one, to do real harm to. */
async function openWithThread(path: string): Promise<{ store: JobStore; thread: Worker }> {
  const threads: Worker[] = [];
  const onWorker = (worker: Worker): void => {
    threads.push(worker);
  };
  process.on("worker", onWorker);
  const store = sqliteJobStore({ path });
  await vi.waitFor(() => expect(threads).toHaveLength(1), { timeout: 20_000 });
  process.off("worker", onWorker);
  const [thread] = threads;
  if (thread === undefined) throw new Error("The store has no thread.");
  return { store, thread };
}

describe("opening a store", () => {
  it("makes directories and a file that is its owner's alone", async () => {
    await using directory = await createStoreDirectory();
    const path = directory.file("deep/down/jobs.db");
    await using store = sqliteJobStore({ path });
    await store.insert(sampleJob(owner));
    for (const file of [path, `${path}-wal`, `${path}-shm`]) {
      expect((await stat(file)).mode & 0o777).toBe(0o600);
    }
  });

  it("keeps jobs in memory when asked to", async () => {
    await using store = sqliteJobStore({ path: ":memory:" });
    const job = sampleJob(owner);
    await run(store, job);
    expect(await store.get(job.document.jobId)).toMatchObject({ state: "completed" });
    expect(existsSync(":memory:")).toBe(false);
  });

  it("refuses a file of a newer release at once, and leaves it as it is", async () => {
    await using directory = await createStoreDirectory();
    const path = directory.file();
    const newer = new DatabaseSync(path);
    newer.exec("PRAGMA user_version = 99");
    newer.close();
    expect(() => sqliteJobStore({ path })).toThrow(
      expect.objectContaining({
        code: "CONFIG_ERROR",
        details: { path, version: 99, supported: 3 },
      }),
    );
    const after = new DatabaseSync(path);
    expect(after.prepare("SELECT count(*) AS tables FROM sqlite_schema").get()).toEqual(
      expect.objectContaining({ tables: 0 }),
    );
    after.close();
  });

  it("brings a file of an earlier release up to date, with the jobs in it", async () => {
    await using directory = await createStoreDirectory();
    const path = directory.file();
    const job = sampleJob("w1");
    {
      await using store = sqliteJobStore({ path });
      await store.insert(job);
    }
    const earlier = new DatabaseSync(path);
    earlier.exec("ALTER TABLE jobs DROP COLUMN submitted_by");
    earlier.exec("DROP TABLE pruned");
    earlier.exec("PRAGMA user_version = 2");
    earlier.close();
    await using store = sqliteJobStore({ path });
    const { jobId } = job.document;
    expect(await store.get(jobId)).toMatchObject({ state: "queued", submittedBy: undefined });
    expect(await store.wasPruned(jobId)).toBe(false);
    await store.insert({ ...sampleJob("w1"), submittedBy: "token:ci" });
    expect(await store.list()).toMatchObject({ records: [{ submittedBy: "token:ci" }, {}] });
  });

  it("says at once what cannot be opened", async () => {
    await using directory = await createStoreDirectory();
    await mkdir(directory.file("directory.db"));
    await writeFile(directory.file("text.db"), "This is no database.\n".repeat(1_000));
    for (const name of ["directory.db", "text.db", "text.db/jobs.db"]) {
      const path = directory.file(name);
      expect(() => sqliteJobStore({ path }), name).toThrow(
        expect.objectContaining({ code: "IO_ERROR", details: { path } }),
      );
    }
  });

  it("does not wait for a process that writes", async () => {
    await using directory = await createStoreDirectory();
    const path = directory.file();
    await sqliteJobStore({ path })[Symbol.asyncDispose]();
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    await using store = sqliteJobStore({ path });
    expect(await store.countByState()).toMatchObject({ queued: 0 });
    other.exec("ROLLBACK");
    other.close();
  });
});

describe("the calling thread", () => {
  it("runs no SQL once the store is open", async () => {
    await using directory = await createStoreDirectory();
    await using store = sqliteJobStore({ path: directory.file() });
    const spies = [
      vi.spyOn(DatabaseSync.prototype, "exec"),
      vi.spyOn(DatabaseSync.prototype, "prepare"),
      vi.spyOn(StatementSync.prototype, "run"),
      vi.spyOn(StatementSync.prototype, "get"),
      vi.spyOn(StatementSync.prototype, "all"),
    ];
    try {
      await run(store, sampleJob(owner));
      await store.list();
      await store.recover({ owner, nowMs: 1, leaseExpiresAtMs: 2 });
      await store.prune({ finishedBeforeMs: 2 });
      expect(spies.map(({ mock }) => mock.calls.length)).toEqual([0, 0, 0, 0, 0]);
    } finally {
      for (const spy of spies) spy.mockRestore();
    }
  });

  it("goes on while another process holds the database, and the calls wait for it", async () => {
    await using directory = await createStoreDirectory();
    const path = directory.file();
    await using store = sqliteJobStore({ path });
    const first = sampleJob(owner);
    await store.insert(first);
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    const settled: string[] = [];
    const inserts = Array.from({ length: 50 }, () => sampleJob(owner)).map(async (job) => {
      await store.insert(job);
      settled.push(job.document.jobId);
    });
    for (let turns = 0; turns < 1_000; turns += 1) await turn();
    expect(settled).toEqual([]);
    other.exec("COMMIT");
    other.close();
    await Promise.all(inserts);
    expect(await store.countByState()).toMatchObject({ queued: 51 });
  });

  it("gets the answers to a burst that is larger than one transaction, in order", async () => {
    await using directory = await createStoreDirectory();
    await using store = sqliteJobStore({ path: directory.file() });
    const jobs = Array.from({ length: 2_500 }, () => sampleJob(owner));
    const order: number[] = [];
    await Promise.all(
      jobs.map(async (job, index) => {
        await run(store, job);
        order.push(index);
      }),
    );
    expect(order).toEqual(jobs.map((_, index) => index));
    expect(await store.countByState()).toMatchObject({ completed: jobs.length });
  });
});

describe("calls that share a transaction", () => {
  it("are joined only when each of them would have been allowed", async () => {
    await using store = sqliteJobStore({ path: ":memory:" });
    const job = sampleJob(owner);
    const { jobId } = job.document;
    await store.insert(job);
    await store.transition({ jobId, from: "queued", to: "assigned", fence });
    const [assign, start, again] = await Promise.allSettled([
      store.transition({ jobId, from: "queued", to: "assigned", fence }),
      store.transition({
        jobId,
        from: "assigned",
        to: "running",
        fence,
        patch: { startedAtMs: 5 },
      }),
      store.transition({ jobId, from: "queued", to: "assigned", fence }),
    ]);
    expect(assign).toMatchObject({ status: "rejected", reason: { code: "STATE_CONFLICT" } });
    expect(start.status).toBe("fulfilled");
    expect(again).toMatchObject({ reason: { details: { actual: "running" } } });
    expect(await store.get(jobId)).toMatchObject({ state: "running", startedAtMs: 5 });
  });

  it("keep what each of two joined steps writes", async () => {
    await using store = sqliteJobStore({ path: ":memory:" });
    const job = sampleJob(owner);
    const { jobId } = job.document;
    const steps = [
      store.insert(job),
      store.transition({
        jobId,
        from: "queued",
        to: "assigned",
        fence,
        patch: { nextSequence: 3 },
      }),
      store.transition({
        jobId,
        from: "assigned",
        to: "running",
        fence,
        patch: { startedAtMs: 5 },
      }),
    ];
    await Promise.all(steps);
    expect(await store.get(jobId)).toMatchObject({
      state: "running",
      nextSequence: 3,
      startedAtMs: 5,
    });
  });

  it("do no harm to each other when one has a value that the table refuses", async () => {
    await using store = sqliteJobStore({ path: ":memory:" });
    const bad = { ...sampleJob(owner), acceptedAtMs: 1.5 };
    const [before, refused, after] = await Promise.allSettled([
      store.insert(sampleJob(owner)),
      store.insert(bad),
      run(store, sampleJob(owner)),
    ]);
    expect([before.status, after.status]).toEqual(["fulfilled", "fulfilled"]);
    expect(refused).toMatchObject({ status: "rejected", reason: { code: "IO_ERROR" } });
    expect(await store.get(bad.document.jobId)).toBeUndefined();
    expect(await store.countByState()).toMatchObject({ queued: 1, completed: 1 });
  });

  it("refuse a value that is no data, and go on", async () => {
    await using store = sqliteJobStore({ path: ":memory:" });
    const notData = (() => "x") as unknown as string;
    await expect(store.get(notData)).rejects.toMatchObject({ code: "IO_ERROR" });
    const endless: { self?: unknown } = {};
    endless.self = endless;
    await expect(store.saveCheckpoint("j", fence, endless)).rejects.toThrow(TypeError);
    expect((await store.insert(sampleJob(owner))).kind).toBe("accepted");
  });
});

describe("two stores on one file", () => {
  it("see each other's jobs, keys included", async () => {
    await using directory = await createStoreDirectory();
    await using a = sqliteJobStore({ path: directory.file() });
    await using b = sqliteJobStore({ path: directory.file() });
    const keyed = (): NewJob => ({
      ...sampleJob(owner, { execution: { idempotencyKey: "k" } }),
      payloadDigest: "p",
    });
    const job = keyed();
    const { jobId } = job.document;
    await a.insert(job);
    await b.transition({ jobId, from: "queued", to: "assigned", fence });
    await a.transition({ jobId, from: "assigned", to: "running", fence });
    const result = sampleResult(job.document);
    await b.finish({ jobId, from: "running", fence, result, finishedAtMs: Date.now() });
    expect((await a.insert(keyed())).kind).toBe("deduplicated");
  });

  it("never take one job for another whose row they knew", async () => {
    await using directory = await createStoreDirectory();
    await using a = sqliteJobStore({ path: directory.file() });
    await using b = sqliteJobStore({ path: directory.file() });
    const gone = sampleJob(owner);
    const { jobId } = gone.document;
    await a.insert(gone);
    const result = sampleResult(gone.document, "cancelled");
    await b.finish({ jobId, from: "queued", fence, result, finishedAtMs: 1 });
    expect(await b.prune({ finishedBeforeMs: 2 })).toBe(1);
    const heir = sampleJob(owner);
    await b.insert(heir);
    await expect(
      a.transition({ jobId, from: "queued", to: "assigned", fence }),
    ).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await a.get(heir.document.jobId)).toMatchObject({ state: "queued" });
  });
});

describe("a store that fails", () => {
  it("rejects what is pending and what comes when its thread dies", async () => {
    await using directory = await createStoreDirectory();
    const { store, thread } = await openWithThread(directory.file());
    await store.insert(sampleJob(owner));
    const other = new DatabaseSync(directory.file());
    other.exec("BEGIN IMMEDIATE");
    const sent = store.insert(sampleJob(owner));
    await turn();
    const collected = store.insert(sampleJob(owner));
    const ends = Promise.allSettled([sent, collected]);
    await thread.terminate();
    for (const end of await ends) {
      expect(end).toMatchObject({ status: "rejected", reason: { code: "IO_ERROR" } });
    }
    await expect(store.get("a")).rejects.toMatchObject({ code: "IO_ERROR" });
    await store[Symbol.asyncDispose]();
    other.exec("ROLLBACK");
    other.close();
  });

  it("rejects with what SQLite says of a file that is broken, and can be closed", async () => {
    await using directory = await createStoreDirectory();
    const path = directory.file();
    const jobs = Array.from({ length: 200 }, () => sampleJob(owner));
    const store = sqliteJobStore({ path });
    await Promise.all(jobs.map((job) => run(store, job)));
    await store[Symbol.asyncDispose]();
    const { size } = await stat(path);
    await using file = await open(path, "r+");
    // The first page tells what tables there are; all that is in them is noise from here on.
    await file.write(Buffer.alloc(size - 4_096, 0xa5), 0, size - 4_096, 4_096);
    await using broken = sqliteJobStore({ path });
    const tries = await Promise.allSettled([
      broken.insert(sampleJob(owner)),
      broken.get(jobs[0]?.document.jobId ?? ""),
    ]);
    for (const attempt of tries) {
      expect(attempt).toMatchObject({ status: "rejected", reason: { code: "IO_ERROR" } });
    }
    await expect(broken.list()).rejects.toThrow(/malformed|corrupt/u);
  });
});

describe("closing a store", () => {
  it("waits for what was sent, and leaves one file", async () => {
    await using directory = await createStoreDirectory();
    const path = directory.file();
    const store = sqliteJobStore({ path });
    const jobs = Array.from({ length: 500 }, () => sampleJob(owner));
    const running = jobs.map((job) => run(store, job));
    const [closed, closedToo] = [store[Symbol.asyncDispose](), store[Symbol.asyncDispose]()];
    await expect(store.get("a")).rejects.toMatchObject({
      code: "IO_ERROR",
      message: "The sqlite job store is closed.",
    });
    await Promise.all([closed, closedToo, ...running]);
    expect(existsSync(`${path}-wal`)).toBe(false);
    await expect(store.get("a")).rejects.toThrow("The sqlite job store is closed.");
    await using again = sqliteJobStore({ path });
    expect(await again.countByState()).toMatchObject({ completed: jobs.length });
  });
});
