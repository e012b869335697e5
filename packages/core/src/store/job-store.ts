import type { Abortable } from "../abortable.ts";
import type { JobDocument } from "../job/job-document.ts";
import type { JobEvent } from "../job/job-event.ts";
import type { AttemptRecord, JobResult } from "../job/job-result.ts";
import type { JobState, TerminalJobState } from "../job/job-state.ts";
import type { JobEventLog } from "./job-event-log.ts";

/** Where a job came from, when a transport leased it to this worker. */
export interface JobSource {
  /** Name of the transport */
  readonly transport: string;
  /** The transport's own name for it, e.g. a file name */
  readonly name: string;
}

/** A stored job. All times are milliseconds since 1970 (UTC). */
export interface JobRecord {
  readonly jobId: string;
  readonly state: JobState;
  readonly document: JobDocument;
  /** Number of the current or last try, from 1 */
  readonly attempt: number;
  /** Worker that alone may change the record */
  readonly owner: string;
  /** After this, another worker may take the record over by `recover` */
  readonly leaseExpiresAtMs: number;
  readonly acceptedAtMs: number;
  /** Start of the current or last attempt */
  readonly startedAtMs?: number | undefined;
  readonly finishedAtMs?: number | undefined;
  /** Not to be started before, e.g. between two attempts */
  readonly notBeforeMs?: number | undefined;
  readonly source?: JobSource | undefined;
  /** sha256 of the document as it came in, hex */
  readonly documentDigest?: string | undefined;
  /** Policy subject that submitted it, unless that is `anonymous` or a transport brought it */
  readonly submittedBy?: string | undefined;
  /** Ended attempts, oldest first */
  readonly history: readonly AttemptRecord[];
  /** Next number for a `JobEvent` */
  readonly nextSequence: number;
  /** What the handler saved for its next attempt */
  readonly checkpoint?: unknown;
  /** Present exactly in terminal states */
  readonly result?: JobResult | undefined;
}

export interface NewJob {
  readonly document: JobDocument;
  readonly owner: string;
  readonly leaseExpiresAtMs: number;
  readonly acceptedAtMs: number;
  /** @default document.execution.attempt */
  readonly attempt?: number | undefined;
  readonly source?: JobSource | undefined;
  /** Needed to tell a redelivery from a second job with the same id */
  readonly documentDigest?: string | undefined;
  /** sha256 of the payload, hex; needed with an idempotency key */
  readonly payloadDigest?: string | undefined;
  readonly submittedBy?: string | undefined;
}

export type InsertOutcome =
  /** Stored as `queued`, idempotency key reserved */
  | { readonly kind: "accepted"; readonly record: JobRecord }
  /** An earlier job with the key succeeded: stored as `completed` with a copy of its result */
  | { readonly kind: "deduplicated"; readonly record: JobRecord }
  /** The same document is known already, as it stands in the record; nothing was written */
  | { readonly kind: "redelivered"; readonly record: JobRecord };

/** Which version of a record a change is meant for; a late owner is refused by it. */
export interface Fence {
  readonly owner: string;
  readonly attempt: number;
}

/** What a transition writes besides the state. A field that is absent stays as it is; `nextSequence` never goes down. */
export interface TransitionPatch {
  readonly owner?: string;
  readonly attempt?: number;
  readonly leaseExpiresAtMs?: number;
  readonly startedAtMs?: number;
  readonly notBeforeMs?: number;
  readonly history?: readonly AttemptRecord[];
  readonly nextSequence?: number;
}

export interface Transition {
  readonly jobId: string;
  readonly from: JobState;
  readonly to: Exclude<JobState, TerminalJobState>;
  readonly fence: Fence;
  readonly patch?: TransitionPatch;
}

export interface Finish {
  readonly jobId: string;
  readonly from: JobState;
  readonly fence: Fence;
  /** `result.status` is the state the job ends in */
  readonly result: JobResult;
  readonly finishedAtMs: number;
  readonly nextSequence?: number;
  /** What tells of the end; kept in the same step where the store keeps events, so that no job ends untold */
  readonly event?: JobEvent | undefined;
}

export interface JobQuery {
  readonly states?: readonly JobState[] | undefined;
  readonly operation?: string | undefined;
  readonly namespace?: string | undefined;
  /** All of them must be equal */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** By acceptance. @default "newest" */
  readonly order?: "newest" | "oldest" | undefined;
  /** 1–500. @default 100 */
  readonly limit?: number | undefined;
  /** `nextCursor` of the page before */
  readonly cursor?: string | undefined;
}

export interface JobPage {
  readonly records: readonly JobRecord[];
  /** Absent on the last page */
  readonly nextCursor?: string | undefined;
}

/** How many jobs of one namespace and operation there are. */
export interface JobCount {
  readonly namespace: string;
  readonly operation: string;
  readonly count: number;
}

export interface RecoverOptions {
  /** Worker that takes the records over */
  readonly owner: string;
  readonly nowMs: number;
  readonly leaseExpiresAtMs: number;
  /** Only this job, whatever its source; unfinished, and the owner's own or expired */
  readonly jobId?: string | undefined;
}

export interface PruneOptions {
  readonly finishedBeforeMs: number;
}

/**
 * Keeps every job from acceptance to the end of its retention.
 *
 * A call that resolved is durable, as far as the implementation promises durability at all. Calls may overlap; those
 * that name one job take effect in the order in which they were made, so a caller may send `queued → assigned` and
 * `assigned → running` without waiting in between. Every change is compare-and-set: it names the state and
 * {@link Fence} it expects, and nothing is written when they do not match.
 *
 * After dispose every call rejects with `IO_ERROR`; dispose waits for what was sent before.
 */
export interface JobStore extends AsyncDisposable {
  /** Stable name used in configuration, e.g. `"sqlite"` */
  readonly name: string;
  /** Where a worker keeps the events of its jobs; absent when this store keeps none */
  readonly events?: JobEventLog | undefined;

  /**
   * Stores a job as `queued` and reserves its idempotency key, in one step. The key counts within the job's namespace
   * and operation:
   *
   * | entry for the key | outcome |
   * |---|---|
   * | none, or expired | accepted |
   * | job not finished | throws `IDEMPOTENCY_IN_PROGRESS`, `details.jobId` names it |
   * | job completed | deduplicated: result copied under the new id, `executionSummary.deduplicatedFrom` set |
   * | job failed, timed out, cancelled, abandoned | key released, accepted |
   * | any of these, other payload digest | throws `IDEMPOTENCY_KEY_REUSED` (not when released or expired) |
   *
   * A known job id throws `JOB_ID_ALREADY_EXISTS`, unless both records have the same `documentDigest` and a source
   * with the same transport: then the outcome is `redelivered`. A redelivered job that ended `abandoned` is accepted
   * anew with the attempt that the new job names; history, checkpoint and `nextSequence` of the old record stay.
   *
   * @throws {LongshoreError} `JOB_ID_ALREADY_EXISTS`, `IDEMPOTENCY_IN_PROGRESS`, `IDEMPOTENCY_KEY_REUSED`, `IO_ERROR`
   */
  insert(job: NewJob): Promise<InsertOutcome>;

  get(jobId: string): Promise<JobRecord | undefined>;

  /**
   * One page of records. Records that are stored all the while appear exactly once when all pages are read.
   *
   * @throws {LongshoreError} `VALIDATION_ERROR` for a cursor or limit that is not one
   */
  list(query?: JobQuery, options?: Abortable): Promise<JobPage>;

  /**
   * How many jobs the query is about, whatever its page, by what a policy asks of a job. Looks at every job of the
   * store.
   */
  count(
    query?: Pick<JobQuery, "states" | "operation" | "namespace" | "labels">,
    options?: Abortable,
  ): Promise<readonly JobCount[]>;

  /** How many jobs are in each state; a state without jobs is 0. */
  countByState(): Promise<Readonly<Record<JobState, number>>>;

  /**
   * Moves a job to a state that is not terminal.
   *
   * @throws {LongshoreError} `INVALID_STATE_TRANSITION` when the machine has no such step, `STATE_CONFLICT` when the
   *   record is in another state or belongs to another owner or attempt (`details.actual`), `NOT_FOUND`, `IO_ERROR`
   */
  transition(change: Transition): Promise<void>;

  /**
   * Ends a job: state, result, idempotency entry and event in one step. A completed job keeps its key for the store's
   * idempotency time; any other end releases it.
   *
   * @throws {LongshoreError} as `transition`
   */
  finish(change: Finish): Promise<void>;

  /**
   * Keeps a JSON value for the job's next attempt.
   *
   * @throws {LongshoreError} `STATE_CONFLICT`, `NOT_FOUND`, `IO_ERROR`
   */
  saveCheckpoint(jobId: string, fence: Fence, value: unknown): Promise<void>;

  /** Prolongs the lease of every unfinished record of one owner. */
  renewLeases(owner: string, leaseExpiresAtMs: number): Promise<void>;

  /**
   * Takes over unfinished records and returns them in order of acceptance: all that are the owner's own (left by an
   * earlier process of the same name), and those of others whose lease has expired. Of others it leaves jobs that have
   * a {@link JobSource}, unless `jobId` names one: their transport decides who gets them. States stay as they are; the
   * caller decides.
   */
  recover(options: RecoverOptions): Promise<readonly JobRecord[]>;

  /** Deletes finished jobs and expired idempotency entries; returns how many jobs went. */
  prune(options: PruneOptions): Promise<number>;

  /** Whether `prune` has deleted a job of that id: it tells of the last `storeRules.rememberedJobs` that went. */
  wasPruned(jobId: string): Promise<boolean>;
}
