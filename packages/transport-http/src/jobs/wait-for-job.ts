import { isTerminal, type JobRecord } from "@longshore/core";
import type { ApiContext } from "../api-context.ts";

export interface WaitForJobOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** `changed`: until state or attempt are other than `unlike` */
  readonly until: "ended" | "changed";
  /** As {@link stateTag} gives it. @default the state at the beginning of the wait */
  readonly unlike?: string | undefined;
  /** The job as it was just read; never is an older one given back */
  readonly record?: JobRecord | undefined;
}

/** What changes whenever a job goes on to another state or attempt. */
export function stateTag({ state, attempt }: JobRecord): string {
  return `${state}.${attempt}`;
}

/** The job once it has come to what is waited for, or as it is when the time is up; `undefined` when it is gone. */
export async function waitForJob(
  { feeds }: ApiContext,
  jobId: string,
  { timeoutMs, signal, until, unlike, record: given }: WaitForJobOptions,
): Promise<JobRecord | undefined> {
  using feed = feeds.open(jobId);
  using waiter = feed.states.waiter(signal);
  let isDue = timeoutMs <= 0;
  const timer = setTimeout(() => {
    isDue = true;
    waiter.wake();
  }, timeoutMs);
  try {
    let mark = waiter.mark();
    let record = given ?? (await feed.record());
    let tag = unlike;
    for (;;) {
      if (record === undefined || isTerminal(record.state)) return record;
      tag ??= stateTag(record);
      if (until === "changed" && stateTag(record) !== tag) return record;
      if (isDue || signal.aborted) return record;
      await waiter.wait(mark);
      mark = waiter.mark();
      record = await feed.record();
    }
  } finally {
    clearTimeout(timer);
  }
}
