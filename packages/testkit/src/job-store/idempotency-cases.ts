import type { InsertOutcome, JobStore, NewJob } from "@longshore/core";
import { expect } from "vitest";
import { sampleJob, sampleResult } from "../sample-job.ts";
import { bring, fence, lead, owner, type Check } from "./job-steps.ts";

/** What a store does about idempotency keys. */
export function declareIdempotency(check: Check, advance: (ms: number) => void): void {
  const keyed = (
    payloadDigest = "same",
    namespace = "default",
    operation = "test.sample",
  ): NewJob => ({
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
    await lead(store, first, { state: "completed" });
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

/** What a store does about messages that come again. */
export function declareRedelivery(check: Check): void {
  const leased = (job: NewJob): NewJob => ({
    ...job,
    source: { transport: "t", name: "message" },
    documentDigest: "digest",
  });

  check("knows a message that comes again", async (store) => {
    const job = leased(sampleJob(owner));
    await store.insert(job);
    const again = await store.insert({ ...job, owner: "w2", attempt: 2 });
    expect(again).toMatchObject({
      kind: "redelivered",
      record: { owner, attempt: 1, state: "queued" },
    });
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
    const other = {
      ...sampleJob(owner, { execution: { idempotencyKey: "k" } }),
      payloadDigest: "p",
    };
    await expect(store.insert(other)).rejects.toMatchObject({ code: "IDEMPOTENCY_IN_PROGRESS" });
  });
}
