import {
  isTerminal,
  jobStates,
  type JobEvent,
  type JobRecord,
  type JobStore,
} from "@longshore/core";
import type { JobFeed } from "./job-feed.ts";

/** One thing that a reader of a job is told. */
export type StoryPart =
  | { readonly kind: "event"; readonly event: JobEvent }
  /** Nothing has happened for a while */
  | { readonly kind: "quiet" }
  /** Nothing more will happen; without a record the job is gone */
  | { readonly kind: "done"; readonly record: JobRecord | undefined };

export interface StoryOptions {
  readonly jobId: string;
  readonly store: JobStore;
  readonly feed: JobFeed;
  readonly afterSequence: number;
  /** How often a reader is told that nothing happens, in milliseconds */
  readonly quietMs: number;
  readonly signal: AbortSignal;
}

/** How long the last event of a job that has ended is waited for; after that, it was lost with its process. */
const lastEventMs = 1_000;

/**
 * Everything that happens to a job after a number, each event once and in order, until the job has ended or the signal
 * aborts. Nothing is buffered: a reader that takes its time reads the log later.
 */
export async function* jobStory(options: StoryOptions): AsyncGenerator<StoryPart, void, undefined> {
  const { jobId, store, feed, quietMs, signal } = options;
  let after = options.afterSequence;
  /** Whether the job may have ended since it was last looked at */
  let mayBeOver = true;
  let isLastAwaited = false;
  let from: "shared" | "log" = "shared";

  while (!signal.aborted) {
    const mark = feed.mark();
    const events = await feed.read(after, from);
    from = "shared";
    for (const event of events) {
      after = event.sequence;
      mayBeOver = event.kind === "state" && isOver(event.phase);
      yield { kind: "event", event };
    }
    if (events.length > 0) continue;
    if (mayBeOver) {
      const record = await store.get(jobId);
      if (record === undefined) {
        yield { kind: "done", record };
        return;
      }
      if (isTerminal(record.state)) {
        const isMissing = record.nextSequence - 1 > after;
        if (isMissing && !isLastAwaited) {
          isLastAwaited = true;
          await feed.wait(mark, { timeoutMs: lastEventMs, signal });
          from = "log";
          continue;
        }
        if (isMissing) yield { kind: "event", event: lastEvent(record) };
        yield { kind: "done", record };
        return;
      }
      mayBeOver = false;
    }
    await feed.wait(mark, { timeoutMs: quietMs, signal });
    if (signal.aborted || feed.mark() !== mark) continue;
    // Another process may run the job: its events come by the log alone.
    mayBeOver = true;
    from = "log";
    yield { kind: "quiet" };
  }
}

/** The event that told the job's end, made again from the record: it was never kept. */
function lastEvent(record: JobRecord): JobEvent {
  const { jobId, state, attempt, owner, finishedAtMs = 0, nextSequence, result } = record;
  const error = result?.error;
  return {
    jobId,
    kind: "state",
    timestamp: new Date(finishedAtMs).toISOString(),
    sequence: nextSequence - 1,
    attempt,
    workerId: owner,
    phase: state,
    message: error?.message ?? `The job ${state}.`,
    details: error === undefined ? {} : { code: error.code },
  };
}

function isOver(phase: string): boolean {
  return jobStates.some((state) => state === phase && isTerminal(state));
}
