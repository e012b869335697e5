import type { EventBus, JobEvent } from "../../src/index.ts";

/** States of one job, in the order in which they were told. */
export function recordStates(events: EventBus, jobId = "*"): string[] {
  const states: string[] = [];
  events.on(`job.${jobId}.*`, ({ data }) => {
    const event = data as JobEvent;
    if (event.kind === "state") states.push(event.phase);
  });
  return states;
}
