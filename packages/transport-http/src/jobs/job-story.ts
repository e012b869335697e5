import { isTerminal, type JobEvent, type JobRecord } from "@longshore/core";
import type { EventView } from "./event-page.ts";
import { doneMessage, eventMessage, heartbeat, streamStart } from "./event-stream.ts";
import type { JobFeed } from "./job-feed.ts";

export interface StoryOptions {
  readonly jobId: string;
  readonly feed: JobFeed;
  readonly view: EventView;
  readonly afterSequence: number;
  /** How often a reader is told that nothing happens, in milliseconds */
  readonly quietMs: number;
  readonly signal: AbortSignal;
}

/** How long the last event of a job that has ended is waited for; after that, it was lost with its process. */
const lastEventMs = 1_000;

/**
 * Everything that happens to a job after a number as messages of a stream, each event once and in order, until the job
 * has ended or the signal aborts. Nothing is buffered: a reader that takes its time is given the next page later.
 */
export async function* jobStory(
  options: StoryOptions,
): AsyncGenerator<Uint8Array | string, void, undefined> {
  const { jobId, feed, view, quietMs, signal } = options;
  using reader = feed.events.waiter(signal);
  let after = options.afterSequence;
  let isLastAwaited = false;
  let toldAtMs = performance.now();

  yield streamStart;
  while (!signal.aborted) {
    const mark = reader.mark();
    const page = await feed.page(after, view);
    if (page !== undefined) {
      after = page.lastSequence;
      if (page.bytes.byteLength === 0) continue;
      yield page.bytes;
      toldAtMs = performance.now();
      continue;
    }
    const record = await feed.record();
    if (record === undefined || isTerminal(record.state)) {
      const isMissing = record !== undefined && record.nextSequence - 1 > after;
      if (isMissing && !isLastAwaited) {
        isLastAwaited = true;
        const timer = setTimeout(reader.wake, lastEventMs);
        await reader.wait(mark);
        clearTimeout(timer);
        await feed.refresh();
        continue;
      }
      if (isMissing) {
        const event = lastEvent(record);
        yield view.message({ event, message: eventMessage(event) });
      }
      yield doneMessage(jobId, record);
      return;
    }
    // Half: the feed wakes its readers after that time, but counts it from its own last event.
    if (performance.now() - toldAtMs > quietMs / 2) {
      yield heartbeat;
      toldAtMs = performance.now();
    }
    await reader.wait(mark);
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
