import { toJobError, type JobError } from "../errors/job-error.ts";
import { isLongshoreError, LongshoreError } from "../errors/longshore-error.ts";
import type { Handler } from "../handler/handler.ts";
import { runHandler, type HandlerRunOutcome } from "../handler/run-handler.ts";
import type { JobDocument } from "../job/job-document.ts";
import type { JobResult } from "../job/job-result.ts";
import { effectiveTimeoutMs, type AdmissionRules } from "../policy/admission-rules.ts";
import type { JobStore } from "../store/job-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { InHandlerSpan } from "../telemetry/job-spans.ts";
import type { WorkerTelemetry } from "../telemetry/worker-telemetry.ts";
import type { ActiveJob } from "./active-job.ts";
import { startAttemptClock, type AttemptClock } from "./attempt-clock.ts";
import { buildResult, withAttempt, type JobEnd } from "./build-result.ts";
import { isRetried, retryDelayMs } from "./retry.ts";

export interface ExecutorOptions {
  readonly workerId: string;
  readonly workerVersion: string;
  readonly store: JobStore;
  /** The handler for a job's operation and runtime mode */
  findHandler(document: JobDocument): Handler | undefined;
  readonly rules: AdmissionRules;
  readonly telemetry: WorkerTelemetry;
  readonly logger: Logger;
  /** Directory in which each attempt gets a directory of its own */
  readonly workRoot: string;
  readonly artifactsRoot: string;
  /** Time a handler has to end once it was told to, in milliseconds */
  readonly giveUpAfterMs: number;
  readonly now: () => number;
  /** A number in [0, 1), for jitter */
  readonly random: () => number;
  /** The job ended; its result is stored. */
  onEnded(job: ActiveJob, result: JobResult): void;
  /** The job is not this worker's any more, or could not be written; nothing of it was stored. */
  onDropped(job: ActiveJob, error: unknown): void;
}

/** Runs accepted jobs, one attempt at a time, and writes what became of them. */
export interface Executor {
  /**
   * Runs the next attempt of a queued job to its end; says whether the job then waits for another. Never rejects.
   *
   * @param onHandlerEnded called when nothing of the job runs any more, and only its end is still to be written
   */
  run(job: ActiveJob, onHandlerEnded: () => void): Promise<"ended" | "queued">;
  /** Ends a job that is not running. Never rejects. */
  end(job: ActiveJob, end: JobEnd): Promise<void>;
  /** Tells a job that was assigned or runs to end; the attempt then writes how it ended. */
  stop(job: ActiveJob, reason: LongshoreError): void;
}

const storeRetryDelaysMs = [100, 500, 2_000, 5_000];

export function createExecutor(options: ExecutorOptions): Executor {
  const { workerId, store, telemetry, logger, now } = options;

  async function runJob(job: ActiveJob, onHandlerEnded: () => void): Promise<"ended" | "queued"> {
    const startedAtMs = now();
    const timeoutMs = effectiveTimeoutMs(job.document, options.rules, startedAtMs);
    if (timeoutMs <= 0) {
      telemetry.jobDequeued();
      await endSafely(job, {
        status: "timeout",
        error: toJobError(
          new LongshoreError("DEADLINE_EXCEEDED", "The job's deadline passed before it started."),
        ),
      });
      return "ended";
    }
    const queueWaitMs = Math.max(0, startedAtMs - job.queuedAtMs);
    telemetry.jobStarted(job.document, queueWaitMs);
    const endStatus = await telemetry
      .run(job.document, job.attempt, (inHandlerSpan) =>
        runStarted(job, { startedAtMs, timeoutMs, inHandlerSpan, onHandlerEnded }),
      )
      .catch((error: unknown) => {
        options.onDropped(job, error);
        return "dropped";
      });
    telemetry.jobEnded(job.document, endStatus, now() - startedAtMs);
    return endStatus === "retried" || endStatus === "released" ? "queued" : "ended";
  }

  async function runStarted(job: ActiveJob, start: AttemptStart): Promise<string> {
    const { jobId, document } = job;
    const { startedAtMs } = start;
    const fence = { owner: workerId, attempt: job.attempt };
    job.state = "assigned";
    // The store keeps the order of calls for one job: both steps share one commit.
    await Promise.all([
      store.transition({ jobId, from: "queued", to: "assigned", fence }),
      store.transition({
        jobId,
        from: "assigned",
        to: "running",
        fence,
        patch: { startedAtMs, nextSequence: job.events.nextSequence + 2 },
      }),
    ]);
    job.state = "running";
    job.startedAtMs = startedAtMs;
    job.events.state("assigned", "The job was assigned.");
    job.events.state(
      "running",
      `Attempt ${job.attempt} of ${document.execution.maxAttempts} runs.`,
    );
    const finished = await attempt(job, start);
    start.onHandlerEnded();
    return settle(job, finished);
  }

  async function attempt(job: ActiveJob, start: AttemptStart): Promise<AttemptEnd> {
    const { document } = job;
    const { timeoutMs, inHandlerSpan } = start;
    const handler = options.findHandler(document);
    if (handler === undefined) {
      const error = new LongshoreError(
        "HANDLER_NOT_FOUND",
        `No handler for "${document.operation}" is registered any more.`,
      );
      return { run: { outcome: {}, error }, stopReason: job.stopReason };
    }
    let giveUp: ((run: HandlerRunOutcome) => void) | undefined;
    using clock = startAttemptClock({
      timeoutMs,
      isDeadline: isDeadlineFirst(document, timeoutMs, now()),
      heartbeatTimeoutMs: toMs(document.execution.heartbeatTimeoutSeconds),
      giveUpAfterMs: options.giveUpAfterMs,
      onGiveUp: () => {
        logger.error({ jobId: job.jobId, handler: handler.name }, "handler did not end; given up");
        giveUp?.({ outcome: {}, error: clock.signal.reason });
      },
    });
    job.stop = (reason) => {
      clock.abort(reason);
    };
    if (job.stopReason !== undefined) clock.abort(job.stopReason);
    // Inside the span, so that one of a handler that never ends is ended, too.
    const run = await inHandlerSpan(
      handler.name,
      () =>
        new Promise<HandlerRunOutcome>((resolve) => {
          giveUp = resolve;
          runInContext(job, handler, clock).then(resolve, (error: unknown) => {
            resolve({ outcome: {}, error });
          });
        }),
    );
    job.stop = undefined;
    return { run, stopReason: clock.signal.aborted ? asReason(clock.signal.reason) : undefined };
  }

  function runInContext(job: ActiveJob, handler: Handler, clock: AttemptClock) {
    const fence = { owner: workerId, attempt: job.attempt };
    return runHandler({
      handler,
      document: job.document,
      attempt: job.attempt,
      workerId,
      signal: clock.signal,
      logger: logger.child({ jobId: job.jobId }),
      workRoot: options.workRoot,
      artifactsRoot: options.artifactsRoot,
      checkpoint: job.checkpoint,
      events: job.events,
      saveCheckpoint: async (value) => {
        await store.saveCheckpoint(job.jobId, fence, value);
        job.checkpoint = value;
      },
      onHeartbeat: () => {
        clock.heartbeat();
      },
      isGivenUp: () => job.isEnding || job.attempt !== fence.attempt,
    });
  }

  /** Decides between the end and another attempt, and writes it. Returns the state the attempt ended in. */
  async function settle(job: ActiveJob, { run, stopReason }: AttemptEnd): Promise<string> {
    if (stopReason?.code === "LEASE_LOST") {
      return end(job, { status: "abandoned", error: toJobError(stopReason), outcome: run.outcome });
    }
    const hasValue = run.error === undefined;
    if (hasValue && (stopReason === undefined || !isLimit(stopReason))) {
      return end(job, { status: "completed", outcome: run.outcome });
    }
    if (stopReason?.code === "SHUTDOWN") return requeue(job, stopReason);
    if (stopReason?.code === "CANCELLED") {
      return end(job, { status: "cancelled", error: toJobError(stopReason), outcome: run.outcome });
    }
    const error = toJobError(stopReason ?? run.error);
    if (job.state === "running" && isRetried(error, job.document.execution, job.attempt)) {
      return retry(job, error);
    }
    const status = stopReason === undefined ? "failed" : "timeout";
    return end(job, { status, error, outcome: run.outcome });
  }

  async function retry(job: ActiveJob, error: JobError): Promise<string> {
    const finishedAtMs = now();
    const delayMs =
      error.retryAfterSeconds === undefined
        ? retryDelayMs(job.document.execution.retry, job.attempt, options.random())
        : error.retryAfterSeconds * 1_000;
    const notBeforeMs = finishedAtMs + delayMs;
    const history = withAttempt(job, { status: "queued", error }, { workerId, finishedAtMs });
    const nextAttempt = job.attempt + 1;
    job.state = "queued";
    await persist(job, () =>
      store.transition({
        jobId: job.jobId,
        from: "running",
        to: "queued",
        fence: { owner: workerId, attempt: job.attempt },
        patch: {
          attempt: nextAttempt,
          notBeforeMs,
          history,
          nextSequence: job.events.nextSequence + 1,
        },
      }),
    );
    job.events.state("queued", `Attempt ${job.attempt} failed with ${error.code}; trying again.`, {
      code: error.code,
      delayMs,
    });
    job.history = history;
    job.attempt = nextAttempt;
    job.events.startAttempt(nextAttempt);
    telemetry.jobRetried(error.code);
    return returnToQueue(job, notBeforeMs, "retried");
  }

  /** Puts a job back that had to stop through no fault of its own: the attempt does not count. */
  async function requeue(job: ActiveJob, reason: LongshoreError): Promise<string> {
    // A job that was being cancelled cannot go back.
    if (job.state === "cancelling") {
      return end(job, { status: "cancelled", error: toJobError(reason) });
    }
    job.state = "queued";
    job.stopReason = undefined;
    await persist(job, () =>
      store.transition({
        jobId: job.jobId,
        from: "running",
        to: "queued",
        fence: { owner: workerId, attempt: job.attempt },
        patch: { nextSequence: job.events.nextSequence + 1 },
      }),
    );
    job.events.state("queued", reason.message, { code: reason.code });
    return returnToQueue(job, now(), "released");
  }

  async function returnToQueue(
    job: ActiveJob,
    notBeforeMs: number,
    outcome: "retried" | "released",
  ): Promise<string> {
    job.queuedAtMs = notBeforeMs;
    job.startedAtMs = undefined;
    if (job.stopReason === undefined) return outcome;
    // A cancel came while the way back was written.
    return end(job, { status: "cancelled", error: toJobError(job.stopReason) });
  }

  async function end(job: ActiveJob, jobEnd: JobEnd): Promise<string> {
    job.isEnding = true;
    const finishedAtMs = now();
    const result = buildResult(job, jobEnd, {
      workerId,
      workerVersion: options.workerVersion,
      finishedAtMs,
    });
    const { status, error } = jobEnd;
    const told = job.events.end(status, error?.message ?? `The job ${status}.`, {
      ...(error !== undefined && { code: error.code }),
    });
    await persist(job, () =>
      store.finish({
        jobId: job.jobId,
        from: job.state,
        fence: { owner: workerId, attempt: job.attempt },
        result,
        finishedAtMs,
        nextSequence: told.event.sequence + 1,
        event: told.event,
      }),
    );
    job.state = status;
    told.tell();
    options.onEnded(job, result);
    return status;
  }

  async function endSafely(job: ActiveJob, jobEnd: JobEnd): Promise<void> {
    try {
      await end(job, jobEnd);
    } catch (error) {
      options.onDropped(job, error);
    }
  }

  /** A full disk must not lose an outcome: tries for a while before it gives up. */
  async function persist(job: ActiveJob, write: () => Promise<void>): Promise<void> {
    for (const delayMs of storeRetryDelaysMs) {
      try {
        await write();
        return;
      } catch (error) {
        if (!isLongshoreError(error, "IO_ERROR")) throw error;
        logger.error({ jobId: job.jobId, err: error, delayMs }, "job store failed; trying again");
        await new Promise((resolve) => setTimeout(resolve, delayMs));
      }
    }
    await write();
  }

  return {
    run: runJob,
    end: endSafely,
    stop(job, reason) {
      if (job.isEnding) return;
      job.stopReason ??= reason;
      job.stop?.(reason);
    },
  };
}

interface AttemptStart {
  readonly startedAtMs: number;
  readonly timeoutMs: number;
  readonly inHandlerSpan: InHandlerSpan;
  readonly onHandlerEnded: () => void;
}

interface AttemptEnd {
  readonly run: HandlerRunOutcome;
  readonly stopReason: LongshoreError | undefined;
}

/** Whether the attempt overran: what it returned then comes too late. */
function isLimit(reason: LongshoreError): boolean {
  return (
    reason.code === "TIMEOUT" ||
    reason.code === "DEADLINE_EXCEEDED" ||
    reason.code === "HEARTBEAT_TIMEOUT"
  );
}

function isDeadlineFirst(document: JobDocument, timeoutMs: number, nowMs: number): boolean {
  const { deadline } = document.execution;
  return deadline !== undefined && Date.parse(deadline) - nowMs <= timeoutMs;
}

function toMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1_000;
}

function asReason(reason: unknown): LongshoreError {
  return isLongshoreError(reason)
    ? reason
    : new LongshoreError("INTERNAL_ERROR", "The attempt was aborted.", { cause: reason });
}
