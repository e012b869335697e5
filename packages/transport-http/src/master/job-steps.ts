import {
  eventTopic,
  isLongshoreError,
  type EventBus,
  type JobError,
  type JobEvent,
  type JobEventLog,
  type JobResult,
  type JobState,
  type JobStore,
  type Logger,
  type TerminalJobState,
  type TransitionPatch,
} from "@longshore/core";
import { endResult } from "./end-result.ts";
import type { JobEntry } from "./job-entry.ts";
import { workerIdOf } from "./lease-id.ts";

interface Step {
  readonly to: Exclude<JobState, TerminalJobState>;
  readonly message: string;
  readonly patch?: TransitionPatch;
  readonly details?: Readonly<Record<string, unknown>>;
  /** When it was, RFC 3339. @default now */
  readonly timestamp?: string;
}

type Told = Omit<JobEvent, "jobId" | "sequence" | "workerId">;

/**
 * Changes of jobs, each written to the store before it counts, and then told. One that meets another program's rejects
 * with `STATE_CONFLICT`, and the job is let go.
 */
export interface JobSteps {
  /** Moves a job on. */
  step(entry: JobEntry, step: Step): Promise<void>;
  /**
   * The worker that has a job runs it.
   *
   * @param timestamp since when, RFC 3339. @default now
   */
  start(entry: JobEntry, timestamp?: string): Promise<void>;
  /** Ends a job with what its worker says. */
  finish(entry: JobEntry, result: JobResult): Promise<void>;
  /** Ends a job that no worker answers. */
  end(
    entry: JobEntry,
    end: { readonly status: TerminalJobState; readonly error: JobError },
  ): Promise<void>;
  /** Tells what happens to a job. */
  tell(entry: JobEntry, event: Told): void;
}

export interface JobStepsOptions {
  readonly store: JobStore;
  readonly log: JobEventLog;
  readonly bus: EventBus;
  readonly logger: Logger;
  readonly now: () => number;
  /** The job is not this master's to lead any more: it has ended, or another program has written to the store */
  onGone(entry: JobEntry): void;
}

export function jobSteps(options: JobStepsOptions): JobSteps {
  const { store, log, bus, logger, now, onGone } = options;

  function nextEvent(entry: JobEntry, what: Told): JobEvent {
    const { jobId, owner, nextSequence: sequence } = entry;
    entry.nextSequence += 1;
    return { ...what, jobId, sequence, workerId: workerIdOf(owner) };
  }

  function publish(event: JobEvent): void {
    const kind = event.kind === "state" ? event.phase : event.kind;
    void bus.publish(eventTopic("job", event.jobId, kind), event, { entityType: "job" });
  }

  const tell: JobSteps["tell"] = (entry, what) => {
    const event = nextEvent(entry, what);
    // Before it is told: whoever hears of the event finds it in the log.
    log.append(event).catch((error: unknown) => {
      logger.error({ jobId: entry.jobId, err: error }, "event could not be kept");
    });
    publish(event);
  };

  function tellState(
    entry: JobEntry,
    {
      message,
      details,
      timestamp = new Date(now()).toISOString(),
    }: Pick<Step, "message" | "details" | "timestamp">,
  ): void {
    tell(entry, {
      kind: "state",
      timestamp,
      attempt: entry.attempt,
      phase: entry.state,
      message,
      details,
    });
  }

  async function write(entry: JobEntry, change: () => Promise<unknown>): Promise<void> {
    try {
      await change();
    } catch (error) {
      if (isLongshoreError(error, "STATE_CONFLICT")) onGone(entry);
      throw error;
    }
  }

  const finish: JobSteps["finish"] = async (entry, result) => {
    const { jobId, state, owner, attempt } = entry;
    const { status, error } = result;
    const finishedAtMs = now();
    const event = nextEvent(entry, {
      kind: "state",
      timestamp: new Date(finishedAtMs).toISOString(),
      attempt,
      phase: status,
      message: error?.message ?? `The job ${status}.`,
      details: error === undefined ? {} : { code: error.code },
    });
    await write(entry, () =>
      store.finish({
        jobId,
        from: state,
        fence: { owner, attempt },
        result,
        finishedAtMs,
        nextSequence: entry.nextSequence,
        event,
      }),
    );
    entry.state = status;
    publish(event);
    onGone(entry);
  };

  const step: JobSteps["step"] = async (entry, { to, patch = {}, ...told }) => {
    const { jobId, state, owner, attempt, nextSequence } = entry;
    await write(entry, () =>
      store.transition({
        jobId,
        from: state,
        to,
        fence: { owner, attempt },
        patch: { ...patch, nextSequence: nextSequence + 1 },
      }),
    );
    entry.state = to;
    entry.owner = patch.owner ?? owner;
    entry.attempt = patch.attempt ?? attempt;
    entry.history = patch.history ?? entry.history;
    entry.startedAtMs = patch.startedAtMs ?? entry.startedAtMs;
    tellState(entry, told);
  };

  return {
    tell,
    step,
    finish,
    start: (entry, timestamp = new Date(now()).toISOString()) =>
      step(entry, {
        to: "running",
        message: `The job runs on ${entry.lease?.workerId ?? ""}.`,
        patch: { startedAtMs: Math.min(Date.parse(timestamp), now()) },
        timestamp,
      }),
    end: (entry, end) => finish(entry, endResult(entry, end, now())),
  };
}
