import { toJobError } from "../errors/job-error.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import type { ActiveJob } from "../executor/active-job.ts";
import type { Executor } from "../executor/executor.ts";
import type { Scheduler } from "../executor/scheduler.ts";
import { isTerminal, type JobState } from "../job/job-state.ts";
import type { JobStore } from "../store/job-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { WorkerTelemetry } from "../telemetry/worker-telemetry.ts";
import type { JobBoard } from "./job-board.ts";
import { noSuchJob } from "./no-such-job.ts";
import type { CancelOptions } from "./worker.ts";

export interface CancellationOptions {
  readonly workerId: string;
  readonly store: JobStore;
  readonly board: JobBoard;
  readonly scheduler: Scheduler;
  readonly executor: Executor;
  readonly telemetry: WorkerTelemetry;
  readonly logger: Logger;
}

/** Ends jobs that nobody wants any more; see `Worker.cancel`. */
export type Cancel = (jobId: string, options?: CancelOptions) => Promise<JobState>;

export function createCancellation(options: CancellationOptions): Cancel {
  const { workerId, store, board, scheduler, executor, telemetry, logger } = options;

  function markCancelling(job: ActiveJob, reason: LongshoreError): void {
    job.state = "cancelling";
    // The store keeps the order: the attempt's end is written after this.
    store
      .transition({
        jobId: job.jobId,
        from: "running",
        to: "cancelling",
        fence: { owner: workerId, attempt: job.attempt },
        patch: { nextSequence: job.events.nextSequence + 1 },
      })
      .catch((error: unknown) => {
        logger.error({ jobId: job.jobId, err: error }, "cancelling could not be written");
      });
    job.events.state("cancelling", reason.message);
  }

  async function stateElsewhere(jobId: string): Promise<JobState> {
    const record = await store.get(jobId);
    if (record === undefined) throw noSuchJob(jobId);
    if (isTerminal(record.state)) return record.state;
    throw new LongshoreError("NOT_CANCELLABLE", `Job ${jobId} belongs to ${record.owner}.`);
  }

  return async (jobId, { reason: why, force = false } = {}) => {
    const job = board.get(jobId);
    if (job === undefined) return stateElsewhere(jobId);
    const reason = new LongshoreError("CANCELLED", why ?? "The job was cancelled.");
    if (scheduler.remove(jobId)) {
      telemetry.jobDequeued();
      await executor.end(job, { status: "cancelled", error: toJobError(reason) });
      return "cancelled";
    }
    if (job.isEnding || job.state === "cancelling") return "cancelling";
    if (!job.document.execution.cancellable && !force) {
      throw new LongshoreError("NOT_CANCELLABLE", `Job ${jobId} runs and may not be cancelled.`);
    }
    if (job.state === "running") markCancelling(job, reason);
    executor.stop(job, reason);
    return "cancelling";
  };
}
