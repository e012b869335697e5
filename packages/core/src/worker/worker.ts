import type { Abortable } from "../abortable.ts";
import type { Capabilities } from "../capability/capabilities.ts";
import type { EventBus } from "../events/event-bus.ts";
import type { JobInput } from "../job/create-job-document.ts";
import type { ParsedJob } from "../job/parse-job-document.ts";
import type { JobResult } from "../job/job-result.ts";
import type { JobState } from "../job/job-state.ts";
import type { JobPage, JobQuery, JobRecord } from "../store/job-store.ts";
import type { WorkerState } from "./worker-state.ts";

export interface SubmitOptions extends Abortable {
  /** Who submits, for the policy. @default `local:<name of the user the process runs as>` */
  readonly subject?: string | undefined;
}

export interface CancelOptions {
  /** Shown in the result's error */
  readonly reason?: string | undefined;
  /** Also a running job that says it is not cancellable. @default false */
  readonly force?: boolean | undefined;
}

/** A document from outside, as `parseJobDocument` gives it: its signature covers the wire form. */
export type SubmittedDocument = Pick<ParsedJob, "document" | "wire">;

/** An accepted job, as seen by whoever submitted it. */
export interface JobHandle {
  readonly jobId: string;
  /** Whether it repeats a job that had succeeded under the same idempotency key */
  readonly isDeduplicated: boolean;
  /** Waits for the end, whatever it is; aborting only ends the wait. See `Worker.result`. */
  result(options?: Abortable): Promise<JobResult>;
  /** See `Worker.cancel`. */
  cancel(options?: CancelOptions): Promise<JobState>;
}

export interface WorkerLoad {
  readonly runningJobs: number;
  readonly queuedJobs: number;
  readonly maxConcurrentJobs: number;
}

export interface WorkerHealth {
  readonly status: "ok" | "degraded" | "unhealthy";
  readonly state: WorkerState;
  readonly load: WorkerLoad;
  /** One entry for the store and for each transport */
  readonly checks: Readonly<
    Record<string, { readonly status: WorkerHealth["status"]; readonly message?: string }>
  >;
}

export interface StopOptions {
  /** Overrides `shutdownTimeoutMs`; 0 aborts running jobs at once */
  readonly timeoutMs?: number | undefined;
}

/** Takes jobs in, runs them and answers them. Make one with `startWorker`; disposing it stops it. */
export interface Worker extends AsyncDisposable {
  readonly id: string;
  readonly pool: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: WorkerState;
  readonly load: WorkerLoad;
  readonly capabilities: Capabilities;
  /** Every step of every job as `job.{id}.{state|progress|log|artifact}`, and `node.{worker}.{state}` */
  readonly events: EventBus;

  /**
   * Hands in a job; it is stored when the promise resolves.
   *
   * @throws {LongshoreError} `VALIDATION_ERROR`, `POLICY_DENIED`, `HANDLER_NOT_FOUND`, `CAPABILITY_MISMATCH`,
   *   `LIMIT_EXCEEDED`, `RUNTIME_NOT_SUPPORTED`, `DEADLINE_EXCEEDED`, `QUEUE_FULL`, `WORKER_DRAINING`,
   *   `JOB_ID_ALREADY_EXISTS`, `IDEMPOTENCY_IN_PROGRESS`, `IDEMPOTENCY_KEY_REUSED`, `IO_ERROR`
   */
  submit(job: JobInput, options?: SubmitOptions): Promise<JobHandle>;

  /** As `submit`, with a document that came in from outside. */
  submitDocument(job: SubmittedDocument, options?: SubmitOptions): Promise<JobHandle>;

  /** Whether `submitDocument` would take the document, as far as that is to be told without storing it. Throws alike. */
  checkDocument(job: SubmittedDocument, options?: SubmitOptions): Promise<void>;

  get(jobId: string): Promise<JobRecord | undefined>;
  list(query?: JobQuery, options?: Abortable): Promise<JobPage>;

  /**
   * Waits until a job of this worker has ended. A job that failed is a result too, not an error.
   *
   * @throws {LongshoreError} `NOT_FOUND`; `JOB_NOT_FINISHED` for a job that runs elsewhere; `SHUTDOWN` when the worker
   *   stops first and the job stays queued; `LEASE_LOST` when it went to another worker
   */
  result(jobId: string, options?: Abortable): Promise<JobResult>;

  /**
   * Ends a job: a waiting one at once (`"cancelled"`), a running one soon (`"cancelling"`). A job that has ended
   * already answers with its state.
   *
   * @throws {LongshoreError} `NOT_FOUND`, `NOT_CANCELLABLE`
   */
  cancel(jobId: string, options?: CancelOptions): Promise<JobState>;

  /**
   * Takes no more work, gives waiting jobs back, waits for the running ones, and aborts those that are left when the
   * time is up. They return to where they came from without losing an attempt. A second call can only shorten the wait.
   */
  stop(options?: StopOptions): Promise<void>;

  health(): Promise<WorkerHealth>;
}
