import type { JobEvent } from "../job/job-event.ts";
import { keptEvents, trimEvery, type ReadEventsOptions } from "./job-event-log.ts";

/** The events of many jobs in memory, each job's by their numbers. */
export interface MemoryEvents {
  /** Whether the event was taken: its number is higher than those before it. */
  add(event: JobEvent): boolean;
  read(jobId: string, options: ReadEventsOptions): readonly JobEvent[];
  forget(jobId: string): void;
}

export function memoryEvents(): MemoryEvents {
  const byJob = new Map<string, JobEvent[]>();

  return {
    add(event) {
      const events = byJob.get(event.jobId) ?? [];
      byJob.set(event.jobId, events);
      const last = events.at(-1);
      if (last !== undefined && last.sequence >= event.sequence) return false;
      events.push(event);
      if (events.length >= keptEvents + trimEvery) events.splice(0, events.length - keptEvents);
      return true;
    },
    read(jobId, { afterSequence = -1, limit = 500 }) {
      const events = byJob.get(jobId) ?? [];
      const start = firstAfter(events, afterSequence);
      return events.slice(start, start + limit);
    },
    forget(jobId) {
      byJob.delete(jobId);
    },
  };
}

/** Place of the first event whose number is higher. */
function firstAfter(events: readonly JobEvent[], sequence: number): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const event = events[middle];
    if (event !== undefined && event.sequence <= sequence) low = middle + 1;
    else high = middle;
  }
  return low;
}
