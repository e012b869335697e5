import type { JobEvent, JobStore } from "@longshore/core";
import { expect } from "vitest";
import { sampleJob, sampleResult } from "../sample-job.ts";
import { bring, fence, lead, owner, type Check } from "./job-steps.ts";

/** What a store that keeps events does with them; a store that keeps none passes by not offering it. */
export function declareEvents(check: Check): void {
  const checkEvents = (
    title: string,
    run: (store: JobStore, log: NonNullable<JobStore["events"]>) => Promise<void>,
  ): void => {
    check(title, async (store) => {
      if (store.events !== undefined) await run(store, store.events);
    });
  };

  checkEvents("keeps the events of a job in their order", async (store, log) => {
    const job = sampleJob(owner);
    const other = sampleJob(owner);
    const { jobId } = job.document;
    await store.insert(job);
    await store.insert(other);
    const events = [0, 1, 2, 3].map((sequence) => sampleEvent(jobId, sequence));
    const appended = Promise.all(events.map((event) => log.append(event)));
    // A read sees what was appended before it, waited for or not.
    expect(await log.read(jobId)).toEqual(events);
    await appended;
    expect(await log.read(jobId, { afterSequence: 1 })).toEqual(events.slice(2));
    expect(await log.read(jobId, { afterSequence: 0, limit: 2 })).toEqual(events.slice(1, 3));
    expect(await log.read(jobId, { afterSequence: 3 })).toEqual([]);
    expect(await log.read(other.document.jobId)).toEqual([]);
    expect(await log.read("nobody")).toEqual([]);
  });

  checkEvents("never gives a number of an event away again", async (store, log) => {
    const job = sampleJob(owner);
    const { jobId } = job.document;
    await store.insert(job);
    await log.append(sampleEvent(jobId, 0));
    expect(await store.get(jobId)).toMatchObject({ nextSequence: 1 });
    const patch = { nextSequence: 5 };
    await store.transition({ jobId, from: "queued", to: "assigned", fence, patch });
    await log.append(sampleEvent(jobId, 4));
    expect(await store.get(jobId)).toMatchObject({ nextSequence: 5 });
    await log.append(sampleEvent(jobId, 5));
    const late = { nextSequence: 3 };
    await store.transition({ jobId, from: "assigned", to: "running", fence, patch: late });
    expect(await store.get(jobId)).toMatchObject({ nextSequence: 6 });
    await log.append({ ...sampleEvent(jobId, 5), message: "late" });
    expect((await log.read(jobId)).map(({ sequence }) => sequence)).toEqual([0, 4, 5]);
    expect((await log.read(jobId)).at(-1)?.message).toBe("event 5");
  });

  checkEvents("keeps what tells of an end with the end, or neither", async (store, log) => {
    const job = sampleJob(owner);
    const { jobId } = job.document;
    await bring(store, job, "running");
    const result = sampleResult(job.document);
    const end = { jobId, from: "running", result, finishedAtMs: 9, nextSequence: 8 } as const;
    const event = { ...sampleEvent(jobId, 7), phase: "completed" };
    await expect(
      store.finish({ ...end, fence: { owner: "another", attempt: 1 }, event }),
    ).rejects.toMatchObject({ code: "STATE_CONFLICT" });
    expect(await log.read(jobId)).toEqual([]);
    const [, read] = await Promise.all([store.finish({ ...end, fence, event }), log.read(jobId)]);
    expect(read).toEqual([event]);
    expect(await store.get(jobId)).toMatchObject({ state: "completed", nextSequence: 8 });
  });

  checkEvents("keeps no events of a job that is not known, or is pruned", async (store, log) => {
    await log.append(sampleEvent("nobody", 0));
    expect(await log.read("nobody")).toEqual([]);
    const job = sampleJob(owner);
    const { jobId } = job.document;
    await store.insert(job);
    await log.append(sampleEvent(jobId, 0));
    await lead(store, job, { state: "completed", finishedAtMs: 1_000 });
    expect(await store.prune({ finishedBeforeMs: 2_000 })).toBe(1);
    expect(await log.read(jobId)).toEqual([]);
  });

  checkEvents("keeps the last events of a job that has very many", async (store, log) => {
    const job = sampleJob(owner);
    const { jobId } = job.document;
    await store.insert(job);
    await Promise.all(
      Array.from({ length: 12_001 }, (_, sequence) => log.append(sampleEvent(jobId, sequence))),
    );
    const [first] = await log.read(jobId, { limit: 1 });
    expect(first?.sequence).toBeGreaterThan(0);
    expect(first?.sequence).toBeLessThanOrEqual(2_001);
    expect(await log.read(jobId, { afterSequence: 11_999 })).toHaveLength(1);
  });
}

function sampleEvent(jobId: string, sequence: number): JobEvent {
  return {
    jobId,
    kind: "progress",
    timestamp: "2026-01-01T00:00:00.000Z",
    sequence,
    attempt: 1,
    workerId: owner,
    phase: "work",
    message: `event ${sequence}`,
  };
}
