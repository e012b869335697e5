import type { JobEvent, JobEventLog } from "@longshore/core";

/** All events of a job that are kept by now, in order. */
export async function* keptEventsOf(
  log: JobEventLog,
  jobId: string,
): AsyncGenerator<JobEvent, void, undefined> {
  let afterSequence = -1;
  for (;;) {
    const events = await log.read(jobId, { afterSequence });
    yield* events;
    const last = events.at(-1);
    if (last === undefined) return;
    afterSequence = last.sequence;
  }
}
