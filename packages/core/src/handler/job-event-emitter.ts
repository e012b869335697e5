import { jsonDetails } from "../errors/json-details.ts";
import { isoTime } from "../iso-time.ts";
import type { JobEvent } from "../job/job-event.ts";
import type { Artifact } from "../job/job-result.ts";
import type { JobState } from "../job/job-state.ts";
import type { ProgressReport } from "./handler-context.ts";

export interface JobEventEmitterOptions {
  readonly jobId: string;
  readonly workerId: string;
  readonly firstSequence: number;
  readonly attempt: number;
  /** @param isKept whether the store has the event already: that of an end is written with the end */
  emit(event: JobEvent, isKept: boolean): void;
  /** Progress reports and log lines that leave within any second. @default 10 */
  readonly maxPerSecond?: number | undefined;
  readonly now?: (() => number) | undefined;
}

/**
 * Numbers a job's events and keeps chatty handlers in check. Of a burst of progress reports the last one leaves, late;
 * log lines beyond the rate are counted and left out; states and artifacts always leave, after the progress before them.
 * Disposing sends what is held back; progress and log lines after that are dropped.
 */
export interface JobEventEmitter extends Disposable {
  /** @throws {TypeError} when the phase or the message is not text */
  progress(report: ProgressReport): void;
  /** @throws {TypeError} when the message is not text */
  log(message: string, details?: Readonly<Record<string, unknown>>): void;
  artifact(artifact: Artifact): void;
  state(state: JobState, message: string, details?: Readonly<Record<string, unknown>>): void;
  /** Makes the last event, that of an end which is still to be written: it leaves when it is told. Disposes. */
  end(state: JobState, message: string, details?: Readonly<Record<string, unknown>>): PreparedEvent;
  /** A new attempt begins: its progress starts over. */
  startAttempt(attempt: number): void;
  /** Number that the next state event gets: what is held back leaves before it and is counted */
  readonly nextSequence: number;
}

/** An event that has its number. */
interface PreparedEvent {
  readonly event: JobEvent;
  tell(): void;
}

const maxPhaseLength = 200;
const maxMessageLength = 4_000;

type Kind = JobEvent["kind"];
type Details = Readonly<Record<string, unknown>> | undefined;

/** @throws {RangeError} for a rate below one event a second */
export function jobEventEmitter(options: JobEventEmitterOptions): JobEventEmitter {
  const { jobId, workerId, emit, maxPerSecond = 10, now = Date.now } = options;
  if (!(maxPerSecond >= 1)) {
    throw new RangeError(`maxPerSecond must be 1 or more, got ${maxPerSecond}`);
  }
  let sequence = options.firstSequence;
  let { attempt } = options;
  let percent: number | undefined;
  /** When the last events left; once it is full, a ring whose oldest entry is at `oldest` */
  const sentAtMs: number[] = [];
  let oldest = 0;
  let held: ProgressReport | undefined;
  let droppedLogs = 0;
  let timer: NodeJS.Timeout | undefined;
  let isDisposed = false;

  function send(kind: Kind, phase: string, what: { message: string; details: Details }): void {
    emit(next(kind, phase, what), false);
  }

  function next(kind: Kind, phase: string, what: { message: string; details: Details }): JobEvent {
    const event: Writable<JobEvent> = {
      jobId,
      kind,
      timestamp: isoTime(now()),
      sequence,
      attempt,
      workerId,
      phase,
      message: what.message.slice(0, maxMessageLength),
    };
    if (kind === "progress" && percent !== undefined) event.progressPercent = percent;
    if (what.details !== undefined) event.details = what.details;
    sequence += 1;
    return event;
  }

  /** Time until one more event may leave, in milliseconds: 0 for now. */
  function waitMs(timeMs: number): number {
    const first = sentAtMs.length < maxPerSecond ? undefined : sentAtMs[oldest];
    // A clock that was set back must not silence the job until it has caught up.
    if (first === undefined || timeMs < first) return 0;
    return Math.max(0, first + 1_000 - timeMs);
  }

  /** Whether one more event may leave now; counts it when it may. */
  function takeSlot(): boolean {
    const timeMs = now();
    if (waitMs(timeMs) > 0) return false;
    if (sentAtMs.length < maxPerSecond) {
      sentAtMs.push(timeMs);
    } else {
      sentAtMs[oldest] = timeMs;
      oldest = (oldest + 1) % sentAtMs.length;
    }
    return true;
  }

  function sendProgress({ phase, message = phase, details }: ProgressReport): void {
    send("progress", phase.slice(0, maxPhaseLength), { message, details: jsonDetails(details) });
  }

  function hold(): void {
    timer ??= setTimeout(
      () => {
        timer = undefined;
        takeSlot();
        release();
      },
      Math.max(1, waitMs(now())),
    ).unref();
  }

  /** Sends what is held back, at once. */
  function release(): void {
    if (timer !== undefined) clearTimeout(timer);
    timer = undefined;
    if (droppedLogs > 0) {
      const message = `${droppedLogs} log lines were left out: more than ${maxPerSecond} a second`;
      droppedLogs = 0;
      send("log", "log", { message, details: undefined });
    }
    if (held === undefined) return;
    const report = held;
    held = undefined;
    sendProgress(report);
  }

  return {
    get nextSequence() {
      return sequence + (droppedLogs > 0 ? 1 : 0) + (held === undefined ? 0 : 1);
    },
    progress(report) {
      assertText("phase", report.phase);
      assertText("message", report.message ?? "");
      if (isDisposed) return;
      const wanted = report.percent;
      if (typeof wanted === "number" && !Number.isNaN(wanted)) {
        percent = Math.max(percent ?? 0, Math.min(100, wanted));
      }
      if (timer === undefined && takeSlot()) {
        sendProgress(report);
        return;
      }
      held = report;
      hold();
    },
    log(message, details) {
      assertText("message", message);
      if (isDisposed) return;
      if (timer === undefined && takeSlot()) {
        send("log", "log", { message, details: jsonDetails(details) });
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
      send("state", state, { message, details });
    },
    end(state, message, details) {
      release();
      isDisposed = true;
      const event = next("state", state, { message, details });
      return {
        event,
        tell: () => {
          emit(event, true);
        },
      };
    },
    startAttempt(number) {
      release();
      attempt = number;
      percent = undefined;
    },
    [Symbol.dispose]() {
      release();
      isDisposed = true;
    },
  };
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

function assertText(name: string, value: unknown): void {
  if (typeof value === "string") return;
  throw new TypeError(`the ${name} of an event must be text, got ${typeof value}`);
}
