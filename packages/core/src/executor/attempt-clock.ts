import { LongshoreError } from "../errors/longshore-error.ts";
import { setLongTimeout } from "./long-timeout.ts";

export interface AttemptClockOptions {
  /** Time the attempt may take, in milliseconds */
  readonly timeoutMs: number;
  /** Whether `timeoutMs` is what remains until the job's deadline */
  readonly isDeadline: boolean;
  readonly heartbeatTimeoutMs?: number | undefined;
  /** Time from the abort until the handler is given up on, in milliseconds */
  readonly giveUpAfterMs: number;
  /** The handler did not end after the abort */
  onGiveUp(): void;
}

/** Watches over one attempt: aborts it at its limits, and gives up on it when it does not end then. */
export interface AttemptClock extends Disposable {
  readonly signal: AbortSignal;
  /** Ends the attempt; only the first reason counts. */
  abort(reason: LongshoreError): void;
  /** The handler showed that it is alive. */
  heartbeat(): void;
}

export function startAttemptClock(options: AttemptClockOptions): AttemptClock {
  const { timeoutMs, isDeadline, heartbeatTimeoutMs, giveUpAfterMs, onGiveUp } = options;
  const controller = new AbortController();
  let isDisposed = false;
  let giveUpTimer: NodeJS.Timeout | undefined;
  const stopLimit = setLongTimeout(() => {
    abort(limitError());
  }, timeoutMs);
  // One timer that is pushed back, not one per heartbeat.
  const heartbeatTimer =
    heartbeatTimeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          abort(
            new LongshoreError(
              "HEARTBEAT_TIMEOUT",
              `The handler gave no sign of life for ${heartbeatTimeoutMs} ms.`,
            ),
          );
        }, heartbeatTimeoutMs);

  function limitError(): LongshoreError {
    return isDeadline
      ? new LongshoreError("DEADLINE_EXCEEDED", "The job's deadline passed while it ran.")
      : new LongshoreError("TIMEOUT", `The job ran longer than ${timeoutMs} ms.`);
  }

  function abort(reason: LongshoreError): void {
    if (isDisposed || controller.signal.aborted) return;
    stopTimers();
    giveUpTimer = setTimeout(onGiveUp, giveUpAfterMs);
    controller.abort(reason);
  }

  function stopTimers(): void {
    stopLimit();
    clearTimeout(heartbeatTimer);
  }

  return {
    signal: controller.signal,
    abort,
    heartbeat() {
      if (!controller.signal.aborted && !isDisposed) heartbeatTimer?.refresh();
    },
    [Symbol.dispose]() {
      isDisposed = true;
      stopTimers();
      clearTimeout(giveUpTimer);
    },
  };
}
