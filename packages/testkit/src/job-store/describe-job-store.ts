import { canTransition, jobStates, type JobStore } from "@longshore/core";
import { expect } from "vitest";
import { sampleJob, sampleResult } from "../sample-job.ts";
import { suite, type SkippedCases } from "../suite-cases.ts";
import { declareIdempotency, declareRedelivery } from "./idempotency-cases.ts";
import { bring, change, fence, owner } from "./job-steps.ts";
import { declareEvents } from "./event-cases.ts";
import { declareLeases, declareQueries } from "./query-cases.ts";

export interface JobStoreSuiteOptions {
  /**
   * A new, empty store. `now` is the clock for idempotency times, `idempotencyTtlMs` how long a key counts,
   * `keepEvents` whether the store is to keep events, if it can.
   */
  create(options: {
    now: () => number;
    idempotencyTtlMs: number;
    keepEvents: boolean;
  }): Promise<JobStore> | JobStore;
  readonly skip?: SkippedCases;
}

/** The contract of `JobStore`, as tests. Call it in a test file of the implementation. */
export function describeJobStoreConformance(name: string, options: JobStoreSuiteOptions): void {
  const { create, skip = {} } = options;

  suite(`JobStore: ${name}`, skip, (test) => {
    let nowMs = Date.now();
    const withStore = (run: (store: JobStore) => Promise<void>) => async () => {
      nowMs = Date.now();
      await using store = await create({
        now: () => nowMs,
        idempotencyTtlMs: 60_000,
        keepEvents: true,
      });
      await run(store);
    };
    const check = (title: string, run: (store: JobStore) => Promise<void>): void => {
      test(title, withStore(run));
    };

    check("stores a job as queued and gives it back as it was", async (store) => {
      const job = {
        ...sampleJob(owner, { metadata: { namespace: "n", labels: { a: "b" } } }),
        submittedBy: "token:ci",
      };
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
        submittedBy: "token:ci",
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
        store.transition({
          jobId,
          from: "assigned",
          to: "running",
          fence,
          patch: { startedAtMs: 7 },
        }),
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
          await expect(change(store, job, { from, to })).rejects.toMatchObject({
            code: "INVALID_STATE_TRANSITION",
          });
          expect((await store.get(job.document.jobId))?.state).toBe(
            from === "pending" ? "queued" : from,
          );
        }
      }
    });

    check("takes every step that the state machine has", async (store) => {
      for (const from of jobStates.filter((state) => state !== "pending")) {
        for (const to of jobStates.filter((state) => canTransition(from, state))) {
          const job = sampleJob(owner);
          await bring(store, job, from);
          await change(store, job, { from, to });
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
      for (const wrong of [
        { owner: "w2", attempt: 1 },
        { owner, attempt: 2 },
      ]) {
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
    declareEvents(check);
    declareLeases(check);

    test("refuses calls after it was disposed, which may be done twice", async () => {
      const store = await create({ now: Date.now, keepEvents: true, idempotencyTtlMs: 1 });
      const pending = store.insert(sampleJob(owner));
      await store[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await expect(pending).resolves.toMatchObject({ kind: "accepted" });
      await expect(store.insert(sampleJob(owner))).rejects.toMatchObject({ code: "IO_ERROR" });
      await expect(store.get("a")).rejects.toMatchObject({ code: "IO_ERROR" });
    });
  });
}
