import { isLongshoreError, LongshoreError, toJobError, type Logger } from "@longshore/core";
import { inTurn, isFree, isLastAttempt, type JobEntry } from "./job-entry.ts";
import type { JobQueue } from "./job-queue.ts";
import type { JobSteps } from "./job-steps.ts";

/** Does what a job's time has come for: offers it to workers, takes it from one that is lost, ends it. */
export interface JobClock {
  /** Looks at a job that has changed, and again whenever its time has come. */
  look(entry: JobEntry): void;
  /** A worker is to have the job again that it was taken for lost with. */
  stop(entry: JobEntry): void;
}

export interface JobClockOptions {
  readonly queue: JobQueue;
  readonly steps: JobSteps;
  readonly logger: Logger;
  readonly now: () => number;
  /** How long a lost worker may still answer a job that nobody else is to try */
  readonly graceMs: number;
}

/** Longest delay one timer can have: 2^31 - 1 ms */
const maxTimerMs = 2 ** 31 - 1;
/** Wait before a change is tried again that could not be written */
const retryMs = 1_000;

export function jobClock({ queue, steps, logger, now, graceMs }: JobClockOptions): JobClock {
  function stop(entry: JobEntry): void {
    clearTimeout(entry.timer);
    entry.timer = undefined;
  }

  function again(entry: JobEntry, atMs: number): void {
    stop(entry);
    const delayMs = Math.min(Math.max(1, atMs - now()), maxTimerMs);
    entry.timer = setTimeout(() => {
      look(entry);
    }, delayMs).unref();
  }

  function look(entry: JobEntry): void {
    const { lease } = entry;
    if (lease === undefined) waitForWorker(entry);
    else if (now() < lease.expiresAtMs) again(entry, lease.expiresAtMs);
    else if (lease.isExpired) waitForHeir(entry, lease.expiresAtMs);
    else expire(entry);
  }

  function waitForWorker(entry: JobEntry): void {
    if (now() < entry.waitsSinceMs) {
      again(entry, entry.waitsSinceMs);
      return;
    }
    const { queueTimeoutSeconds, deadline } = entry.placement.execution;
    const timeoutAtMs = Math.max(
      entry.waitsSinceMs + queueTimeoutSeconds * 1_000,
      entry.patientUntilMs,
    );
    const deadlineMs = deadline === undefined ? Infinity : Date.parse(deadline);
    const endsAtMs = Math.min(timeoutAtMs, deadlineMs);
    if (now() < endsAtMs) {
      again(entry, endsAtMs);
      queue.remove(entry);
      queue.offer(entry);
      return;
    }
    end(entry, {
      status: "timeout",
      error:
        deadlineMs <= timeoutAtMs
          ? new LongshoreError("DEADLINE_EXCEEDED", "The job's deadline passed before it started.")
          : new LongshoreError(
              "QUEUE_TIMEOUT",
              `The job waited more than ${queueTimeoutSeconds} s for a worker.`,
            ),
    });
  }

  /** The worker is lost, as far as can be told; its answer still counts until somebody else has the job. */
  function expire(entry: JobEntry): void {
    const { lease, jobId, state } = entry;
    if (lease === undefined) return;
    logger.warn({ jobId, workerId: lease.workerId }, "lease ran out");
    if (state === "cancelling") {
      end(entry, {
        status: "cancelled",
        error: new LongshoreError("CANCELLED", "The worker was lost while it cancelled the job."),
      });
      return;
    }
    lease.isExpired = true;
    waitForHeir(entry, lease.expiresAtMs);
    if (isFree(entry)) queue.offer(entry);
  }

  function waitForHeir(entry: JobEntry, sinceMs: number): void {
    const { queueTimeoutSeconds } = entry.placement.execution;
    const endsAtMs = sinceMs + (isLastAttempt(entry) ? graceMs : queueTimeoutSeconds * 1_000);
    if (now() < endsAtMs) {
      again(entry, endsAtMs);
      return;
    }
    const workerId = entry.lease?.workerId ?? "";
    end(entry, {
      status: "abandoned",
      error: new LongshoreError(
        "WORKER_LOST",
        isLastAttempt(entry)
          ? `The worker ${workerId} was lost during the last attempt, ${entry.attempt}.`
          : `The worker ${workerId} was lost, and no other one took the job.`,
      ),
    });
  }

  function end(
    entry: JobEntry,
    {
      status,
      error,
    }: { readonly status: "timeout" | "cancelled" | "abandoned"; readonly error: LongshoreError },
  ): void {
    const { lease, state } = entry;
    queue.remove(entry);
    inTurn(entry, async () => {
      // A worker came first: it took the job, gave it back, extended its lease or answered.
      const isLeft = entry.lease === lease && entry.state === state;
      const isRevived = lease !== undefined && now() < lease.expiresAtMs;
      if (isLeft && !isRevived) await steps.end(entry, { status, error: toJobError(error) });
    }).catch((thrown: unknown) => {
      logger.error({ jobId: entry.jobId, err: thrown }, "job could not be ended");
      if (isLongshoreError(thrown, "STATE_CONFLICT")) return;
      again(entry, now() + retryMs);
    });
  }

  return { look, stop };
}
