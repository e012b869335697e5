import {
  decodeJobEvent,
  encodeJobDocument,
  isLongshoreError,
  isTerminal,
  LongshoreError,
  toJobError,
  type JobDocument,
  type JobError,
  type JobEvent,
  type JobRecord,
  type JobResult,
  type JobStore,
  type NackOptions,
} from "@longshore/core";
import type { Delivery } from "../polling/messages.ts";
import { lostAttempt } from "./end-result.ts";
import type { JobBook } from "./job-book.ts";
import type { JobClock } from "./job-clock.ts";
import { inTurn, isFree, isLastAttempt, toLease, type JobEntry, type Lease } from "./job-entry.ts";
import type { JobQueue } from "./job-queue.ts";
import type { JobSteps } from "./job-steps.ts";
import { jobIdOf, leaseOf, newLease, workerIdOf } from "./lease-id.ts";
import { sentOf } from "./sent-document.ts";
import type { WorkerSession } from "./worker-sessions.ts";

/** What became of an answer. */
export interface SettledJob {
  readonly jobId: string;
  readonly state: string;
  /** Whether the same lease had answered before */
  readonly isRepeated: boolean;
}

/** Gives jobs to workers and takes them back. */
export interface Leasing {
  /** Leases a job that was taken from the queue; `undefined` when it is not free any more. */
  lease(entry: JobEntry, session: WorkerSession): Promise<Delivery | undefined>;
  /** A job that is the worker's, as it was delivered. */
  deliveryOf(entry: JobEntry): Promise<Delivery | undefined>;
  /** @throws {LongshoreError} `LEASE_LOST` */
  extend(leaseId: string): Promise<Lease>;
  /** @throws {LongshoreError} `LEASE_LOST`, `VALIDATION_ERROR` for a result of another job */
  ack(leaseId: string, result: JobResult, events: readonly unknown[]): Promise<SettledJob>;
  /** @throws {LongshoreError} `LEASE_LOST` */
  nack(leaseId: string, error: JobError, options: NackOptions): Promise<SettledJob>;
  /** Takes in what a worker tells of a job; returns whether it is news. */
  tell(leaseId: string, event: unknown): Promise<boolean>;
  /** Gives a job back that its worker never got. */
  release(leaseId: string): Promise<void>;
  /** The worker that a lease is, or was, given to. @throws {LongshoreError} `LEASE_LOST` */
  workerOf(leaseId: string): Promise<string>;
}

export interface LeasingOptions {
  readonly masterId: string;
  readonly store: JobStore;
  readonly book: JobBook;
  readonly queue: JobQueue;
  readonly steps: JobSteps;
  readonly clock: JobClock;
  readonly now: () => number;
  /** The job is not in the store any more */
  onGone(entry: JobEntry): void;
}

/** Longest event that is kept, in characters: a worker of ours cuts its own to less */
const maxEventLength = 131_072;

export function leasing(options: LeasingOptions): Leasing {
  const { masterId, store, book, queue, steps, clock, now, onGone } = options;

  /** The job that a lease id names, under this lease or not. */
  function entryOf(leaseId: string): JobEntry | undefined {
    const jobId = jobIdOf(leaseId);
    return jobId === undefined ? undefined : book.get(jobId);
  }

  /** The record that is, or was last, under the lease. @throws {LongshoreError} `LEASE_LOST` */
  async function recordUnder(leaseId: string): Promise<JobRecord> {
    const jobId = jobIdOf(leaseId);
    const record = jobId === undefined ? undefined : await store.get(jobId);
    if (record !== undefined && leaseOf(record)?.leaseId === leaseId) return record;
    throw leaseLost(leaseId);
  }

  /** A change of the job under a lease, when its turn comes; `otherwise` when the lease is over by then. */
  async function underLease<T>(
    leaseId: string,
    change: (entry: JobEntry, lease: Lease) => Promise<T>,
    otherwise: () => Promise<T>,
  ): Promise<T> {
    const entry = entryOf(leaseId);
    if (entry === undefined) return otherwise();
    return inTurn(entry, async () => {
      const { lease } = entry;
      if (lease?.leaseId !== leaseId) return otherwise();
      try {
        return await change(entry, lease);
      } catch (error) {
        if (!isLongshoreError(error, "STATE_CONFLICT")) throw error;
        throw leaseLost(leaseId, error);
      }
    });
  }

  async function lose(leaseId: string): Promise<never> {
    throw leaseLost(leaseId);
  }

  async function giveBack(
    entry: JobEntry,
    back: {
      readonly countAttempt: boolean;
      readonly error: JobError;
      readonly notBeforeMs: number;
    },
  ): Promise<void> {
    const { countAttempt, error, notBeforeMs } = back;
    const history = countAttempt
      ? [...entry.history, lostAttempt(entry, { status: "queued", error }, now())]
      : entry.history;
    await steps.step(entry, {
      to: "queued",
      message: error.message,
      details: { code: error.code },
      patch: {
        owner: masterId,
        attempt: entry.attempt + Number(countAttempt),
        leaseExpiresAtMs: now(),
        notBeforeMs,
        history,
      },
    });
    book.unlease(entry);
    entry.startedAtMs = undefined;
    entry.waitsSinceMs = notBeforeMs;
    clock.stop(entry);
  }

  async function takeEvent(entry: JobEntry, lease: Lease, wire: unknown): Promise<boolean> {
    const event = readEvent(wire);
    // A worker's account of a job matters less than its answer: what is no event of the job is left out.
    if (event?.jobId !== entry.jobId || event.sequence <= lease.lastSequence) return false;
    lease.lastSequence = event.sequence;
    const { jobId: _job, sequence: _sequence, workerId: _worker, ...what } = event;
    if (event.kind !== "state") {
      steps.tell(entry, what);
      return true;
    }
    const { phase } = event;
    // The first steps and the last are the master's own to tell; what is left is the worker's trying again.
    if (phase === "running" && entry.state === "assigned") {
      await steps.start(entry, event.timestamp);
    } else if ((phase === "queued" || phase === "running") && entry.state === "running") {
      steps.tell(entry, what);
    }
    return true;
  }

  /** An answer that came before, from this very lease. */
  async function answered(leaseId: string): Promise<SettledJob> {
    const { jobId, state } = await recordUnder(leaseId);
    if (!isTerminal(state)) throw leaseLost(leaseId);
    return { jobId, state, isRepeated: true };
  }

  function toDelivery(entry: JobEntry, document: JobDocument): Delivery | undefined {
    if (entry.lease === undefined) return undefined;
    return {
      lease_id: entry.lease.leaseId,
      job_id: entry.jobId,
      attempt: Math.max(1, entry.attempt - document.execution.attempt + 1),
      document: sentOf(document) ?? encodeJobDocument(document),
    };
  }

  function settledAs({ jobId, state }: JobEntry): SettledJob {
    return { jobId, state, isRepeated: false };
  }

  return {
    lease: (entry, session) =>
      inTurn(entry, async () => {
        if (!isFree(entry)) return undefined;
        try {
          const record = await store.get(entry.jobId);
          if (record === undefined) {
            onGone(entry);
            return undefined;
          }
          if (entry.lease !== undefined) {
            await giveBack(entry, {
              countAttempt: true,
              error: toJobError(
                new LongshoreError("WORKER_LOST", `The worker ${entry.lease.workerId} was lost.`),
              ),
              notBeforeMs: now(),
            });
          }
          const name = newLease(entry.jobId, session.workerId);
          const given = toLease(name, now(), session.leaseMs);
          await steps.step(entry, {
            to: "assigned",
            message: `The job was assigned to ${session.workerId}.`,
            patch: { owner: given.owner, leaseExpiresAtMs: given.expiresAtMs },
          });
          book.lease(entry, given);
          clock.look(entry);
          return toDelivery(entry, record.document);
        } catch (error) {
          if (isLongshoreError(error, "STATE_CONFLICT")) return undefined;
          if (entry.lease === undefined) clock.look(entry);
          else queue.put(entry);
          throw error;
        }
      }),
    async deliveryOf(entry) {
      const record = await store.get(entry.jobId);
      return record === undefined ? undefined : toDelivery(entry, record.document);
    },
    extend: (leaseId) =>
      underLease(
        leaseId,
        async (entry, lease) => {
          queue.remove(entry);
          lease.isExpired = false;
          lease.expiresAtMs = now() + lease.leaseMs;
          clock.look(entry);
          return lease;
        },
        () => lose(leaseId),
      ),
    ack: (leaseId, result, events) =>
      underLease(
        leaseId,
        async (entry, lease) => {
          if (result.jobId !== entry.jobId) {
            throw new LongshoreError(
              "VALIDATION_ERROR",
              "The result is of another job than the lease.",
            );
          }
          for (const event of events) await takeEvent(entry, lease, event);
          if (entry.state === "assigned" && result.status === "completed") {
            await steps.start(entry, result.startedAt ?? result.finishedAt);
          }
          const history = [...entry.history, ...result.history];
          await steps.finish(entry, { ...result, history });
          return settledAs(entry);
        },
        () => answered(leaseId),
      ),
    nack: (leaseId, error, { requeue, delayMs = 0, countAttempt = true }) =>
      underLease(
        leaseId,
        async (entry) => {
          if (entry.state === "cancelling") {
            await steps.end(entry, { status: "cancelled", error });
          } else if (!requeue || (countAttempt && isLastAttempt(entry))) {
            await steps.end(entry, { status: "failed", error });
          } else {
            queue.remove(entry);
            await giveBack(entry, { countAttempt, error, notBeforeMs: now() + delayMs });
            clock.look(entry);
          }
          return settledAs(entry);
        },
        () => answered(leaseId),
      ),
    tell: (leaseId, event) =>
      underLease(
        leaseId,
        (entry, lease) => takeEvent(entry, lease, event),
        () => Promise.resolve(false),
      ),
    release: (leaseId) =>
      underLease(
        leaseId,
        async (entry) => {
          if (entry.state !== "assigned") return;
          const error = toJobError(
            new LongshoreError("TRANSPORT_ERROR", "The worker was gone before it got the job."),
          );
          await giveBack(entry, { countAttempt: false, error, notBeforeMs: now() });
          clock.look(entry);
        },
        () => Promise.resolve(),
      ),
    async workerOf(leaseId) {
      const lease = entryOf(leaseId)?.lease;
      if (lease?.leaseId === leaseId) return lease.workerId;
      return workerIdOf((await recordUnder(leaseId)).owner);
    },
  };
}

/** An event that can be written down and told on; `undefined` for what is none. */
function readEvent(wire: unknown): JobEvent | undefined {
  try {
    const event = decodeJobEvent(wire);
    return JSON.stringify(event).length <= maxEventLength ? event : undefined;
  } catch {
    // Not an event, or so deep that nothing can be made of it.
    return undefined;
  }
}

function leaseLost(leaseId: string, cause?: unknown): LongshoreError {
  return new LongshoreError("LEASE_LOST", `The lease ${leaseId} is over.`, {
    cause,
    details: { leaseId },
  });
}
