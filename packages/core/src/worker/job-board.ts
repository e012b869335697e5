import type { LongshoreError } from "../errors/longshore-error.ts";
import type { ActiveJob, JobLease } from "../executor/active-job.ts";
import { jobEventEmitter } from "../handler/job-event-emitter.ts";
import type { JobEvent } from "../job/job-event.ts";
import type { JobResult } from "../job/job-result.ts";
import type { JobRecord } from "../store/job-store.ts";

/** How a job left the board. */
type JobDeparture =
  | { readonly kind: "ended"; readonly result: JobResult }
  /** It is not this worker's to finish */
  | { readonly kind: "gone"; readonly error: LongshoreError };

export interface JobBoardOptions {
  readonly workerId: string;
  /** Jobs on the board beyond which newcomers wait */
  readonly capacity: number;
  /** @param isKept whether the store has the event already */
  publish(job: ActiveJob, event: JobEvent, isKept: boolean): void;
}

/** Every job this worker has accepted and not ended, and who waits for one of them. */
export interface JobBoard {
  readonly size: number;
  readonly isFull: boolean;
  get(jobId: string): ActiveJob | undefined;
  values(): IterableIterator<ActiveJob>;
  /** The job on the lease, if any. */
  findByLease(lease: JobLease): ActiveJob | undefined;
  add(record: JobRecord, lease: JobLease | undefined): ActiveJob;
  leave(job: ActiveJob, departure: JobDeparture): void;
  /** Resolves when the job leaves; `undefined` when it is not on the board. */
  departure(jobId: string): Promise<JobDeparture> | undefined;
  /** Resolves when the board is not full, or takes no more. */
  room(): Promise<void>;
  /** Lets everybody go on who waits for room: the worker takes no more jobs. */
  close(): void;
}

export function createJobBoard(options: JobBoardOptions): JobBoard {
  const { workerId, capacity, publish } = options;
  const jobs = new Map<string, ActiveJob>();
  const departures = new Map<string, PromiseWithResolvers<JobDeparture>>();
  const waitingForRoom: (() => void)[] = [];
  let isClosed = false;

  return {
    get size() {
      return jobs.size;
    },
    get isFull() {
      return jobs.size >= capacity;
    },
    get: (jobId) => jobs.get(jobId),
    values: () => jobs.values(),
    findByLease(lease) {
      for (const job of jobs.values()) {
        if (job.lease?.transport === lease.transport && job.lease.leaseId === lease.leaseId) {
          return job;
        }
      }
      return undefined;
    },
    add(record, lease) {
      const job: ActiveJob = {
        jobId: record.jobId,
        document: record.document,
        acceptedAtMs: record.acceptedAtMs,
        events: jobEventEmitter({
          jobId: record.jobId,
          workerId,
          firstSequence: record.nextSequence,
          attempt: record.attempt,
          emit: (event, isKept) => {
            publish(job, event, isKept);
          },
        }),
        state: record.state,
        attempt: record.attempt,
        queuedAtMs: record.notBeforeMs ?? record.acceptedAtMs,
        startedAtMs: record.startedAtMs,
        history: record.history,
        checkpoint: record.checkpoint,
        lease,
        stopReason: undefined,
        stop: undefined,
        isEnding: false,
      };
      jobs.set(job.jobId, job);
      return job;
    },
    leave(job, departure) {
      job.events[Symbol.dispose]();
      jobs.delete(job.jobId);
      departures.get(job.jobId)?.resolve(departure);
      departures.delete(job.jobId);
      waitingForRoom.shift()?.();
    },
    departure(jobId) {
      if (!jobs.has(jobId)) return undefined;
      const known = departures.get(jobId) ?? Promise.withResolvers<JobDeparture>();
      departures.set(jobId, known);
      return known.promise;
    },
    async room() {
      // Several may be woken for one place; the board may be over its capacity by that many.
      while (jobs.size >= capacity) {
        if (isClosed) return;
        await new Promise<void>((resolve) => waitingForRoom.push(resolve));
      }
    },
    close() {
      isClosed = true;
      for (const resolve of waitingForRoom.splice(0)) resolve();
    },
  };
}
