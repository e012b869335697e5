import { toJobError } from "../errors/job-error.ts";
import { isLongshoreError, LongshoreError } from "../errors/longshore-error.ts";
import type { ActiveJob, JobLease } from "../executor/active-job.ts";
import { withAttempt } from "../executor/build-result.ts";
import type { Executor } from "../executor/executor.ts";
import type { JobRecord, JobStore } from "../store/job-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { JobBoard } from "./job-board.ts";

export interface AdoptionOptions {
  readonly workerId: string;
  readonly store: JobStore;
  readonly board: JobBoard;
  readonly executor: Executor;
  readonly logger: Logger;
  readonly now: () => number;
  enqueue(job: ActiveJob, notBeforeMs: number | undefined): void;
}

/** Takes over jobs that a process which is gone had left unfinished. */
export interface Adoption {
  /** Puts the job back on its way, or ends it when its attempts are used up. The record must be this worker's. */
  resume(record: JobRecord, lease: JobLease | undefined): Promise<void>;
  /** Ends a job that does not run and whose message is, or goes, elsewhere: nobody here answers it. */
  abandon(job: ActiveJob, reason: LongshoreError): Promise<void>;
}

export function createAdoption(options: AdoptionOptions): Adoption {
  const { workerId, store, board, executor, logger, now, enqueue } = options;

  async function resume(record: JobRecord, lease: JobLease | undefined): Promise<void> {
    const job = board.add(record, lease);
    logger.info({ jobId: job.jobId, state: record.state }, "job recovered");
    try {
      await putOnItsWay(job, record);
    } catch (error) {
      // On the board it would look taken care of, and its message would be taken in vain.
      job.lease = undefined;
      board.leave(job, { kind: "gone", error: toLongshoreError(error) });
      throw error;
    }
  }

  async function putOnItsWay(job: ActiveJob, record: JobRecord): Promise<void> {
    switch (record.state) {
      case "pending":
        await move(job, "queued", {});
        break;
      case "queued":
        break;
      case "assigned":
        await move(job, "queued", {});
        break;
      case "running":
        if (job.attempt >= job.document.execution.maxAttempts) {
          await executor.end(job, { status: "abandoned", error: lostError(job) });
          return;
        }
        await nextAttempt(job);
        break;
      case "cancelling":
        await executor.end(job, {
          status: "cancelled",
          error: toJobError(
            new LongshoreError("CANCELLED", "The worker died while it cancelled the job."),
          ),
        });
        return;
      case "completed":
      case "failed":
      case "timeout":
      case "cancelled":
      case "abandoned":
        return;
      default:
        record.state satisfies never;
    }
    enqueue(job, record.notBeforeMs);
  }

  async function nextAttempt(job: ActiveJob): Promise<void> {
    const history = withAttempt(
      job,
      { status: "abandoned", error: lostError(job) },
      { workerId, finishedAtMs: now() },
    );
    await move(job, "queued", { attempt: job.attempt + 1, history });
    job.attempt += 1;
    job.history = history;
    job.events.startAttempt(job.attempt);
    job.queuedAtMs = now();
  }

  async function move(
    job: ActiveJob,
    to: "queued" | "assigned",
    patch: { readonly attempt?: number; readonly history?: ActiveJob["history"] },
  ): Promise<void> {
    await store.transition({
      jobId: job.jobId,
      from: job.state,
      to,
      fence: { owner: workerId, attempt: job.attempt },
      patch: { ...patch, nextSequence: job.events.nextSequence + 1 },
    });
    job.state = to;
    job.startedAtMs = undefined;
    job.events.state(to, "The job was taken over from a process that is gone.");
  }

  function toLongshoreError(error: unknown): LongshoreError {
    if (isLongshoreError(error)) return error;
    return new LongshoreError("INTERNAL_ERROR", "The job could not be taken over.", {
      cause: error,
    });
  }

  function lostError(job: ActiveJob) {
    return toJobError(
      new LongshoreError("WORKER_LOST", `The worker died during attempt ${job.attempt}.`),
    );
  }

  return {
    resume,
    async abandon(job, reason) {
      if (job.state === "pending") await move(job, "queued", {});
      if (job.state === "queued") await move(job, "assigned", {});
      await executor.end(job, {
        status: "abandoned",
        error: toJobError(reason),
      });
    },
  };
}
