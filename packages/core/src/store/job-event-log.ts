import type { Abortable } from "../abortable.ts";
import type { JobEvent } from "../job/job-event.ts";

export interface ReadEventsOptions extends Abortable {
  /** Only events after this one. @default -1: from the first that is kept */
  readonly afterSequence?: number | undefined;
  /** 1–1,000. @default 500 */
  readonly limit?: number | undefined;
}

/**
 * Keeps what happened to each job, as long as the job's record is kept, so that a reader can go on where it left off,
 * also after a restart.
 *
 * Calls take effect in the order in which they were made: a read sees every event that was appended before it, and
 * resolves once those are as durable as the store makes anything. An event whose number was handed out is never
 * followed by another one with the same number: an append raises the record's `nextSequence` above it.
 *
 * Of one job the last {@link keptEvents} events are kept.
 */
export interface JobEventLog {
  /**
   * Keeps an event. One whose job is not known, or whose number is taken, is left out.
   *
   * @throws {LongshoreError} `IO_ERROR`
   */
  append(event: JobEvent): Promise<void>;

  /**
   * Events of a job by their numbers, oldest first; none for a job that is not known.
   *
   * @throws {LongshoreError} `IO_ERROR`
   */
  read(jobId: string, options?: ReadEventsOptions): Promise<readonly JobEvent[]>;
}

/** Events of one job that a log keeps at least; older ones may go. */
export const keptEvents = 10_000;

/** How often a log looks whether a job has more events than are kept: at each that many of them. */
export const trimEvery = 1_000;
