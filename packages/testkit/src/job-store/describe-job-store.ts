import {
  canTransition,
  isTerminal,
  jobStates,
  type InsertOutcome,
  type JobRecord,
  type JobState,
  type JobStore,
  type NewJob,
} from "@longshore/core";
import { expect } from "vitest";
import { sampleJob, sampleResult } from "../sample-job.ts";
import { suite, type SkippedCases } from "../suite-cases.ts";

export interface JobStoreSuiteOptions {
  /** A new, empty store. `now` is the clock for idempotency times, `idempotencyTtlMs` how long a key counts. */
  create(options: { now: () => number; idempotencyTtlMs: number }): Promise<JobStore> | JobStore;
  readonly skip?: SkippedCases;
}

const owner = "w1";
const fence = { owner, attempt: 1 };

/** The contract of `JobStore`, as tests. Call it in a test file of the implementation. */
export function describeJobStoreConformance(name: string, options: JobStoreSuiteOptions): void {
  const { create, skip = {} } = options;

  suite(`JobStore: ${name}`, skip, (test) => {
    let nowMs = Date.now();
    const withStore = (run: (store: JobStore) => Promise<void>) => async () => {
      nowMs = Date.now();
      await using store = await create({ now: () => nowMs, idempotencyTtlMs: 60_000 });
      await run(store);
    };
    const check = (title: string, run: (store: JobStore) => Promise<void>): void => {
      test(title, withStore(run));
    };

    check("stores a job as queued and gives it back as it was", async (store) => {
      const job = sampleJob(owner, { metadata: { namespace: "n", labels: { a: "b" } } });
      const outcome = await store.insert(job);
      expect(outcome.kind).toBe("accepted");
      const record = await store.get(job.document.jobId);
      expect(record).toEqual(outcome.record);
      expect(record).toMatchObject({
        state: "queued",
        attempt: 1,
        owner,
        acceptedAtMs: job.acceptedAtMs,
        document: job.document,
        history: [],
        nextSequence: 0,
      });
      expect(await store.get("nobody")).toBeUndefined();
    });

    check("refuses an id that is known", async (store) => {
      const job = sampleJob(owner);
      await store.insert(job);
      await expect(store.insert(job)).rejects.toMatchObject({ code: "JOB_ID_ALREADY_EXISTS" });
    });

    check("keeps the order of calls for one job that were not waited for", async (store) => {
      const job = sampleJob(owner);
      const { jobId } = job.document;
      const result = sampleResult(job.document);
      await Promise.all([
        store.insert(job),
        store.transition({ jobId, from: "queued", to: "assigned", fence }),
        store.transition({ jobId, from: "assigned", to: "running", fence, patch: { startedAtMs: 7 } }),
        store.finish({ jobId, from: "running", fence, result, finishedAtMs: 9, nextSequence: 4 }),
      ]);
      expect(await store.get(jobId)).toMatchObject({
        state: "completed",
        startedAtMs: 7,
        finishedAtMs: 9,
        nextSequence: 4,
        result,
        history: result.history,
      });
    });

    check("refuses every step that the state machine does not have", async (store) => {
      for (const from of jobStates) {
        for (const to of jobStates) {
          if (canTransition(from, to)) continue;
          const job = sampleJob(owner);
          await bring(store, job, from);
          await expect(change(store, job, from, to)).rejects.toMatchObject({
            code: "INVALID_STATE_TRANSITION",
          });
          expect((await store.get(job.document.jobId))?.state).toBe(from === "pending" ? "queued" : from);
        }
      }
    });

    check("takes every step that the state machine has", async (store) => {
      for (const from of jobStates.filter((state) => state !== "pending")) {
        for (const to of jobStates.filter((state) => canTransition(from, state))) {
          const job = sampleJob(owner);
          await bring(store, job, from);
          await change(store, job, from, to);
          expect((await store.get(job.document.jobId))?.state).toBe(to);
        }
      }
    });

    check("refuses a change that expects another state, owner or attempt", async (store) => {
      const job = sampleJob(owner);
      const { jobId } = job.document;
      await store.insert(job);
      const step = { jobId, from: "queued", to: "assigned" } as const;
      await expect(
        store.transition({ jobId, from: "assigned", to: "running", fence }),
      ).rejects.toMatchObject({ code: "STATE_CONFLICT" });
      for (const wrong of [{ owner: "w2", attempt: 1 }, { owner, attempt: 2 }]) {
        await expect(store.transition({ ...step, fence: wrong })).rejects.toMatchObject({
          code: "STATE_CONFLICT",
        });
        await expect(store.saveCheckpoint(jobId, wrong, 1)).rejects.toMatchObject({
          code: "STATE_CONFLICT",
        });
      }
      await expect(store.transition({ ...step, jobId: "nobody", fence })).rejects.toMatchObject({
        code: "NOT_FOUND",
      });
      expect((await store.get(jobId))?.state).toBe("queued");
    });

    check("lets one of many racing changes win", async (store) => {
      const job = sampleJob(owner);
      await store.insert(job);
      const tries = await Promise.allSettled(
        Array.from({ length: 20 }, () =>
          store.transition({ jobId: job.document.jobId, from: "queued", to: "assigned", fence }),
        ),
      );
      expect(tries.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    });

    check("writes a patch and leaves the rest as it is", async (store) => {
      const job = sampleJob(owner);
      const { jobId } = job.document;
      await bring(store, job, "running");
      const history = sampleResult(job.document).history;
      await store.transition({
        jobId,
        from: "running",
        to: "queued",
        fence,
        patch: { attempt: 2, notBeforeMs: 5, history, nextSequence: 8 },
      });
      expect(await store.get(jobId)).toMatchObject({
        state: "queued",
        attempt: 2,
        notBeforeMs: 5,
        history,
        nextSequence: 8,
        owner,
        document: job.document,
      });
    });

    check("keeps a checkpoint", async (store) => {
      const job = sampleJob(owner);
      await store.insert(job);
      await store.saveCheckpoint(job.document.jobId, fence, { done: [1, 2] });
      expect((await store.get(job.document.jobId))?.checkpoint).toEqual({ done: [1, 2] });
    });

    check("shares no state with its callers", async (store) => {
      const value = { list: [1] };
      const job = sampleJob(owner);
      await store.insert(job);
      await store.saveCheckpoint(job.document.jobId, fence, value);
      value.list.push(2);
      expect((await store.get(job.document.jobId))?.checkpoint).toEqual({ list: [1] });
    });

    declareIdempotency(check, (ms) => {
      nowMs += ms;
    });
    declareRedelivery(check);
    declareQueries(check);
    declareLeases(check);

    test("refuses calls after it was disposed, which may be done twice", async () => {
      const store = await create({ now: Date.now, idempotencyTtlMs: 1 });
      const pending = store.insert(sampleJob(owner));
      await store[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await expect(pending).resolves.toMatchObject({ kind: "accepted" });
      await expect(store.insert(sampleJob(owner))).rejects.toMatchObject({ code: "IO_ERROR" });
      await expect(store.get("a")).rejects.toMatchObject({ code: "IO_ERROR" });
    });
  });
}

type Check = (title: string, run: (store: JobStore) => Promise<void>) => void;

function declareIdempotency(check: Check, advance: (ms: number) => void): void {
  const keyed = (payloadDigest = "same", namespace = "default", operation = "test.sample"): NewJob => ({
    ...sampleJob(owner, {
      operation,
      metadata: { namespace },
      execution: { idempotencyKey: "key" },
    }),
    payloadDigest,
  });
  const finishWith = async (store: JobStore, job: NewJob, status: "completed" | "failed") => {
    await bring(store, job, status);
  };

  check("refuses a key whose job has not ended", async (store) => {
    const first = keyed();
    await store.insert(first);
    await expect(store.insert(keyed())).rejects.toMatchObject({
      code: "IDEMPOTENCY_IN_PROGRESS",
      details: { jobId: first.document.jobId },
    });
  });

  check("answers a key whose job completed with a copy of its result", async (store) => {
    const first = keyed();
    await finishWith(store, first, "completed");
    const second = keyed();
    const outcome = await store.insert(second);
    expect(outcome.kind).toBe("deduplicated");
    const record = await store.get(second.document.jobId);
    expect(record).toMatchObject({
      state: "completed",
      result: {
        jobId: second.document.jobId,
        createdAt: second.document.createdAt,
        data: { answer: first.document.jobId },
        executionSummary: { deduplicatedFrom: first.document.jobId },
      },
    });
    expect(outcome.record.result).toEqual(record?.result);
  });

  check("releases the key of a job that did not complete", async (store) => {
    await finishWith(store, keyed(), "failed");
    expect((await store.insert(keyed("other"))).kind).toBe("accepted");
  });

  check("refuses a key with another payload", async (store) => {
    const first = keyed();
    await store.insert(first);
    await expect(store.insert(keyed("other"))).rejects.toMatchObject({
      code: "IDEMPOTENCY_KEY_REUSED",
    });
    await bring(store, first, "completed", { isStored: true });
    await expect(store.insert(keyed("other"))).rejects.toMatchObject({
      code: "IDEMPOTENCY_KEY_REUSED",
    });
  });

  check("forgets a key when its time is over", async (store) => {
    await finishWith(store, keyed(), "completed");
    advance(3_600_000);
    expect((await store.insert(keyed("other"))).kind).toBe("accepted");
  });

  check("keeps keys of other namespaces and operations apart", async (store) => {
    await store.insert(keyed());
    expect((await store.insert(keyed("x", "other"))).kind).toBe("accepted");
    expect((await store.insert(keyed("x", "default", "test.other"))).kind).toBe("accepted");
  });

  check("accepts one of many jobs with one key that come at the same time", async (store) => {
    const tries = await Promise.allSettled(Array.from({ length: 25 }, () => store.insert(keyed())));
    expect(tries.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const attempt of tries) {
      if (attempt.status === "rejected") {
        expect(attempt.reason).toMatchObject({ code: "IDEMPOTENCY_IN_PROGRESS" });
      }
    }
    expect((await store.list()).records).toHaveLength(1);
  });
}

function declareRedelivery(check: Check): void {
  const leased = (job: NewJob): NewJob => ({
    ...job,
    source: { transport: "t", name: "message" },
    documentDigest: "digest",
  });

  check("knows a message that comes again", async (store) => {
    const job = leased(sampleJob(owner));
    await store.insert(job);
    const again = await store.insert({ ...job, owner: "w2", attempt: 2 });
    expect(again).toMatchObject({ kind: "redelivered", record: { owner, attempt: 1, state: "queued" } });
    await expect(store.insert({ ...job, documentDigest: "other" })).rejects.toMatchObject({
      code: "JOB_ID_ALREADY_EXISTS",
    });
    await expect(
      store.insert({ ...job, source: { transport: "other", name: "message" } }),
    ).rejects.toMatchObject({ code: "JOB_ID_ALREADY_EXISTS" });
  });

  check("takes a message anew whose job was abandoned, with its story", async (store) => {
    const job = leased(sampleJob(owner));
    const { jobId } = job.document;
    await bring(store, job, "running");
    await store.saveCheckpoint(jobId, fence, "half");
    const result = sampleResult(job.document, "abandoned");
    await store.finish({
      jobId,
      from: "running",
      fence,
      result,
      finishedAtMs: 1,
      nextSequence: 5,
    });
    const again: InsertOutcome = await store.insert({ ...job, owner: "w2", attempt: 3 });
    expect(again).toMatchObject({
      kind: "accepted",
      record: { state: "queued", owner: "w2", attempt: 3, nextSequence: 5, checkpoint: "half" },
    });
    const record = await store.get(jobId);
    expect(record).toMatchObject({ state: "queued", history: result.history, nextSequence: 5 });
    expect(record?.result).toBeUndefined();
    expect(record?.finishedAtMs).toBeUndefined();
  });

  check("reserves the key of a message that comes anew", async (store) => {
    const job: NewJob = {
      ...leased(sampleJob(owner, { execution: { idempotencyKey: "k" } })),
      payloadDigest: "p",
    };
    await bring(store, job, "abandoned");
    expect((await store.insert(job)).kind).toBe("accepted");
    const other = { ...sampleJob(owner, { execution: { idempotencyKey: "k" } }), payloadDigest: "p" };
    await expect(store.insert(other)).rejects.toMatchObject({ code: "IDEMPOTENCY_IN_PROGRESS" });
  });
}

function declareQueries(check: Check): void {
  check("lists every record once, page by page, in both orders", async (store) => {
    const base = Date.now();
    const jobs = Array.from({ length: 25 }, (_, index) => ({
      ...sampleJob(owner),
      acceptedAtMs: base + Math.floor(index / 3),
    }));
    for (const job of jobs) await store.insert(job);
    const ids = jobs.map(({ document }) => document.jobId);
    for (const order of ["oldest", "newest"] as const) {
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.list({ order, limit: 4, cursor });
        expect(page.records.length).toBeLessThanOrEqual(4);
        seen.push(...page.records.map(({ jobId }) => jobId));
        // What comes between two pages must not move those that are there.
        if (order === "newest") await store.insert({ ...sampleJob(owner), acceptedAtMs: base + 100 });
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      const known = seen.filter((jobId) => ids.includes(jobId));
      expect(known).toEqual(order === "oldest" ? ids : ids.toReversed());
    }
  });

  check("lists what was asked for", async (store) => {
    const odd = sampleJob(owner, {
      operation: "test.odd",
      metadata: { namespace: "n", labels: { "example.com/tier": "gold", b: "2" } },
    });
    await store.insert(odd);
    const plain = sampleJob(owner);
    await bring(store, plain, "running");
    const ids = async (query: Parameters<JobStore["list"]>[0]): Promise<readonly string[]> =>
      (await store.list(query)).records.map(({ jobId }) => jobId);
    const oddId = odd.document.jobId;
    const plainId = plain.document.jobId;
    expect(await ids({ states: ["running"] })).toEqual([plainId]);
    expect(await ids({ states: ["queued", "running"] })).toHaveLength(2);
    expect(await ids({ states: [] })).toEqual([]);
    expect(await ids({ operation: "test.odd" })).toEqual([oddId]);
    expect(await ids({ namespace: "n" })).toEqual([oddId]);
    expect(await ids({ namespace: "default" })).toEqual([plainId]);
    expect(await ids({ labels: { "example.com/tier": "gold", b: "2" } })).toEqual([oddId]);
    expect(await ids({ labels: { b: "3" } })).toEqual([]);
  });

  check("refuses a limit or cursor that is not one", async (store) => {
    for (const query of [{ limit: 0 }, { limit: 501 }, { limit: 1.5 }, { cursor: "nonsense" }]) {
      await expect(store.list(query)).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    }
    await expect(
      store.list({}, { signal: AbortSignal.abort(new Error("enough")) }),
    ).rejects.toThrow("enough");
  });

  check("counts jobs by state", async (store) => {
    await store.insert(sampleJob(owner));
    await store.insert(sampleJob(owner));
    await bring(store, sampleJob(owner), "failed");
    expect(await store.countByState()).toEqual({
      ...Object.fromEntries(jobStates.map((state) => [state, 0])),
      queued: 2,
      failed: 1,
    });
  });

  check("prunes what ended before a time, and nothing else", async (store) => {
    const [old, recent, open] = [sampleJob(owner), sampleJob(owner), sampleJob(owner)];
    await bring(store, old, "completed", { finishedAtMs: 1_000 });
    await bring(store, recent, "completed", { finishedAtMs: 3_000 });
    await store.insert(open);
    expect(await store.prune({ finishedBeforeMs: 2_000 })).toBe(1);
    expect(await store.get(old.document.jobId)).toBeUndefined();
    expect((await store.list()).records).toHaveLength(2);
    await store.insert(old);
  });
}

function declareLeases(check: Check): void {
  const lists = (records: readonly JobRecord[]): readonly string[] => records.map(({ jobId }) => jobId);

  check("hands its own unfinished records to a worker that comes back", async (store) => {
    const jobs = [sampleJob(owner), sampleJob(owner), sampleJob(owner)] as const;
    await store.insert(jobs[0]);
    await bring(store, jobs[1], "running");
    await bring(store, jobs[2], "completed");
    const nowMs = Date.now();
    const records = await store.recover({ owner, nowMs, leaseExpiresAtMs: nowMs + 5 });
    expect(lists(records)).toEqual([jobs[0].document.jobId, jobs[1].document.jobId]);
    expect(records.map(({ state }) => state)).toEqual(["queued", "running"]);
    expect(records.every(({ leaseExpiresAtMs }) => leaseExpiresAtMs === nowMs + 5)).toBe(true);
  });

  check("takes over what another worker's expired lease left, but no transport's", async (store) => {
    const nowMs = Date.now();
    const live = { ...sampleJob("other"), leaseExpiresAtMs: nowMs + 1_000 };
    const dead = { ...sampleJob("other"), leaseExpiresAtMs: nowMs - 1 };
    const leased: NewJob = {
      ...sampleJob("other"),
      leaseExpiresAtMs: nowMs - 1,
      source: { transport: "t", name: "m" },
      documentDigest: "d",
    };
    for (const job of [live, dead, leased]) await store.insert(job);
    const take = { owner, nowMs, leaseExpiresAtMs: nowMs + 1_000 };
    expect(lists(await store.recover(take))).toEqual([dead.document.jobId]);
    expect(await store.get(dead.document.jobId)).toMatchObject({ owner });
    const named = await store.recover({ ...take, jobId: leased.document.jobId });
    expect(lists(named)).toEqual([leased.document.jobId]);
    expect(await store.recover({ ...take, jobId: live.document.jobId })).toEqual([]);
    expect((await store.get(live.document.jobId))?.owner).toBe("other");
  });

  check("lets one of two workers take an expired record over", async (store) => {
    const nowMs = Date.now();
    await store.insert({ ...sampleJob("dead"), leaseExpiresAtMs: nowMs - 1 });
    const taken = await Promise.all(
      ["a", "b"].map((heir) =>
        store.recover({ owner: heir, nowMs, leaseExpiresAtMs: nowMs + 60_000 }),
      ),
    );
    expect(taken.flat()).toHaveLength(1);
  });

  check("renews the leases of one owner's unfinished records", async (store) => {
    const mine = sampleJob(owner);
    const theirs = sampleJob("other");
    await store.insert(mine);
    await store.insert(theirs);
    await store.renewLeases(owner, 77);
    expect((await store.get(mine.document.jobId))?.leaseExpiresAtMs).toBe(77);
    expect((await store.get(theirs.document.jobId))?.leaseExpiresAtMs).toBe(theirs.leaseExpiresAtMs);
  });
}

/** Stores a job, if it is not yet, and leads it into a state by legal steps. */
async function bring(
  store: JobStore,
  job: NewJob,
  state: JobState,
  { isStored = false, finishedAtMs = Date.now() } = {},
): Promise<void> {
  if (!isStored) await store.insert(job);
  const { jobId } = job.document;
  if (state === "queued" || state === "pending") return;
  await store.transition({ jobId, from: "queued", to: "assigned", fence });
  if (state === "assigned") return;
  await store.transition({ jobId, from: "assigned", to: "running", fence });
  if (state === "running") return;
  if (isTerminal(state)) {
    const result = sampleResult(job.document, state);
    await store.finish({ jobId, from: "running", fence, result, finishedAtMs });
    return;
  }
  await store.transition({ jobId, from: "running", to: state, fence });
}

async function change(store: JobStore, job: NewJob, from: JobState, to: JobState): Promise<void> {
  const { jobId } = job.document;
  if (!isTerminal(to)) return store.transition({ jobId, from, to, fence });
  return store.finish({
    jobId,
    from,
    fence,
    result: sampleResult(job.document, to),
    finishedAtMs: Date.now(),
  });
}
