import {
  isTerminal,
  LongshoreError,
  toJobError,
  type JobState,
  type JobStore,
  type Worker,
} from "@longshore/core";
import type { JobBook } from "./job-book.ts";
import { inTurn, type JobEntry } from "./job-entry.ts";
import type { JobQueue } from "./job-queue.ts";
import type { JobSteps } from "./job-steps.ts";
import type { Polls } from "./polls.ts";

export interface CancellationOptions {
  readonly store: JobStore;
  readonly book: JobBook;
  readonly queue: JobQueue;
  readonly steps: JobSteps;
  readonly polls: Polls;
}

/** Ends a job that waits at once, and has the worker of any other one told. */
export function cancellation(options: CancellationOptions): Worker["cancel"] {
  const { store, book, queue, steps, polls } = options;

  async function stateOf(jobId: string): Promise<JobState> {
    const record = await store.get(jobId);
    if (record !== undefined && isTerminal(record.state)) return record.state;
    throw new LongshoreError("NOT_FOUND", `There is no job ${jobId}.`, { details: { jobId } });
  }

  async function cancelLeased(entry: JobEntry, reason: string | undefined): Promise<JobState> {
    if (entry.state === "assigned") {
      // As far as the master can tell, it runs: its worker has it.
      await steps.start(entry);
    }
    if (entry.state === "running") {
      entry.cancelReason = reason;
      await steps.step(entry, {
        to: "cancelling",
        message: reason ?? "The job is to end.",
        details: { code: "CANCELLED" },
      });
      queue.remove(entry);
    }
    polls.noteCancel(entry);
    return entry.state;
  }

  return async (jobId, { reason, force = false } = {}) => {
    const entry = book.get(jobId);
    if (entry === undefined) return stateOf(jobId);
    return inTurn(entry, async () => {
      if (isTerminal(entry.state)) return entry.state;
      if (entry.lease === undefined || entry.lease.isExpired) {
        queue.remove(entry);
        const error = new LongshoreError("CANCELLED", reason ?? "The job was cancelled.");
        await steps.end(entry, { status: "cancelled", error: toJobError(error) });
        return entry.state;
      }
      if (!entry.placement.execution.cancellable && !force) {
        throw new LongshoreError("NOT_CANCELLABLE", `Job ${jobId} runs and is not cancellable.`);
      }
      return cancelLeased(entry, reason);
    });
  };
}
