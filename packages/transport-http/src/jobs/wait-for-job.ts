import { isTerminal, type JobRecord } from "@longshore/core";
import type { ApiContext } from "../api-context.ts";

export interface WaitForJobOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** `changed`: until state or attempt are other than `unlike` */
  readonly until: "ended" | "changed";
  /** As {@link stateTag} gives it. @default the state at the beginning of the wait */
  readonly unlike?: string | undefined;
}

/** What changes whenever a job goes on to another state or attempt. */
export function stateTag({ state, attempt }: JobRecord): string {
  return `${state}.${attempt}`;
}

/** The job once it has come to what is waited for, or as it is when the time is up; `undefined` when it is gone. */
export async function waitForJob(
  { store, feeds, heartbeatMs }: ApiContext,
  jobId: string,
  { timeoutMs, signal, until, unlike }: WaitForJobOptions,
): Promise<JobRecord | undefined> {
  const deadlineMs = performance.now() + timeoutMs;
  using feed = feeds.open(jobId);
  let tag = unlike;
  for (;;) {
    const mark = feed.mark();
    const record = await store.get(jobId);
    if (record === undefined || isTerminal(record.state)) return record;
    tag ??= stateTag(record);
    if (until === "changed" && stateTag(record) !== tag) return record;
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0 || signal.aborted) return record;
    // Another process may run the job: then only the store knows.
    await feed.wait(mark, { timeoutMs: Math.min(leftMs, heartbeatMs), signal });
  }
}
