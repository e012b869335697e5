import { isTerminal, type Fence, type JobState, type JobStore, type NewJob } from "@longshore/core";
import { sampleResult } from "../sample-job.ts";

/** Who owns the jobs of the suite. */
export const owner = "w1";
export const fence: Fence = { owner, attempt: 1 };

/** Declares a case that gets a new store. */
export type Check = (title: string, run: (store: JobStore) => Promise<void>) => void;

/** Stores a job and leads it into a state by legal steps. */
export async function bring(store: JobStore, job: NewJob, state: JobState): Promise<void> {
  await store.insert(job);
  await lead(store, job, { state });
}

/** Leads a queued job into a state by legal steps. */
export async function lead(
  store: JobStore,
  job: NewJob,
  { state, finishedAtMs = Date.now() }: { state: JobState; finishedAtMs?: number },
): Promise<void> {
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

/** One step of a job, whatever kind it is. */
export async function change(
  store: JobStore,
  job: NewJob,
  { from, to }: { from: JobState; to: JobState },
): Promise<void> {
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
