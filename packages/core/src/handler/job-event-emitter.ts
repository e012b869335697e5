import type { JobEvent } from "../job/job-event.ts";
import type { Artifact } from "../job/job-result.ts";
import type { JobState } from "../job/job-state.ts";
import type { ProgressReport } from "./handler-context.ts";

export interface JobEventEmitterOptions {
  readonly jobId: string;
  readonly workerId: string;
  readonly firstSequence: number;
  readonly attempt: number;
  emit(event: JobEvent): void;
  /** Progress reports that leave per second. @default 10 */
  readonly maxPerSecond?: number | undefined;
  readonly now?: (() => number) | undefined;
}

/**
 * Numbers a job's events and keeps chatty handlers in check. Of a burst of progress reports the last one leaves, late;
 * log lines beyond the rate are counted and left out; states and artifacts always leave, after the progress before them.
 */
export interface JobEventEmitter extends Disposable {
  progress(report: ProgressReport): void;
  log(message: string, details?: Readonly<Record<string, unknown>>): void;
  artifact(artifact: Artifact): void;
  state(state: JobState, message: string, details?: Readonly<Record<string, unknown>>): void;
  /** A new attempt begins: its progress starts over. */
  startAttempt(attempt: number): void;
  /** Number of the next event; those before it have left */
  readonly nextSequence: number;
}

const maxMessageLength = 4_000;
const maxDetailsLength = 65_536;

type Kind = JobEvent["kind"];

export function jobEventEmitter(options: JobEventEmitterOptions): JobEventEmitter {
  const { jobId, workerId, emit, maxPerSecond = 10, now = Date.now } = options;
  let sequence = options.firstSequence;
  let { attempt } = options;
  let percent: number | undefined;
  let windowStartMs = -Infinity;
  let sentInWindow = 0;
  let held: ProgressReport | undefined;
  let droppedLogs = 0;
  let timer: NodeJS.Timeout | undefined;

  function send(kind: Kind, phase: string, rest: Pick<JobEvent, "message" | "details">): void {
    const event: JobEvent = {
      jobId,
      kind,
      timestamp: new Date(now()).toISOString(),
      sequence,
      attempt,
      workerId,
      phase,
      ...(kind === "progress" && percent !== undefined && { progressPercent: percent }),
      message: rest.message.slice(0, maxMessageLength),
      ...(rest.details !== undefined && { details: bounded(rest.details) }),
    };
    sequence += 1;
    emit(event);
  }

  /** Whether one more event fits into the current second; counts it when it does. */
  function takeSlot(): boolean {
    const timeMs = now();
    if (timeMs - windowStartMs >= 1_000) {
      windowStartMs = timeMs;
      sentInWindow = 0;
    }
    if (sentInWindow >= maxPerSecond) return false;
    sentInWindow += 1;
    return true;
  }

  function sendProgress({ phase, message = phase, details }: ProgressReport): void {
    send("progress", phase, { message, ...(details !== undefined && { details }) });
  }

  function hold(): void {
    timer ??= setTimeout(
      () => {
        timer = undefined;
        if (held !== undefined || droppedLogs > 0) takeSlot();
        release();
      },
      Math.max(1, windowStartMs + 1_000 - now()),
    ).unref();
  }

  /** Sends what is held back, at once. */
  function release(): void {
    clearTimeout(timer);
    timer = undefined;
    if (droppedLogs > 0) {
      const message = `${droppedLogs} log lines were left out: more than ${maxPerSecond} a second`;
      droppedLogs = 0;
      send("log", "log", { message });
    }
    if (held === undefined) return;
    const report = held;
    held = undefined;
    sendProgress(report);
  }

  return {
    get nextSequence() {
      return sequence;
    },
    progress(report) {
      const wanted = report.percent;
      if (wanted !== undefined && !Number.isNaN(wanted)) {
        percent = Math.max(percent ?? 0, Math.min(100, Math.max(0, wanted)));
      }
      if (held === undefined && takeSlot()) {
        sendProgress(report);
        return;
      }
      held = report;
      hold();
    },
    log(message, details) {
      if (held === undefined && takeSlot()) {
        send("log", "log", { message, ...(details !== undefined && { details }) });
        return;
      }
      droppedLogs += 1;
      hold();
    },
    artifact(artifact) {
      release();
      send("artifact", "artifact", {
        message: `artifact ${artifact.path}`,
        details: { ...artifact },
      });
    },
    state(state, message, details) {
      release();
      send("state", state, { message, ...(details !== undefined && { details }) });
    },
    startAttempt(number) {
      release();
      attempt = number;
      percent = undefined;
    },
    [Symbol.dispose]() {
      release();
    },
  };
}

function bounded(details: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  let length: number;
  try {
    length = JSON.stringify(details).length;
  } catch {
    // Details of a handler may be anything; what cannot be written is left out.
    return { omitted: "the details are not JSON" };
  }
  return length <= maxDetailsLength
    ? details
    : { omitted: `the details have ${length} characters; ${maxDetailsLength} are allowed` };
}
