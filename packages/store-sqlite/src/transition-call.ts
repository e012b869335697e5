import {
  LongshoreError,
  storeRules,
  type Finish,
  type JobEvent,
  type JobState,
  type Transition,
} from "@longshore/core";
import type {
  EventOperation,
  FinishOperation,
  Mismatch,
  PatchOperation,
  StepOperation,
} from "./operation.ts";

/** @throws {LongshoreError} `INVALID_STATE_TRANSITION` */
export function transitionOperation(change: Transition): StepOperation | PatchOperation {
  const { jobId, from, to, fence, patch = {} } = change;
  storeRules.assertStep(from, to);
  const { owner, attempt, leaseExpiresAtMs, notBeforeMs, history } = patch;
  const { startedAtMs = null, nextSequence = null } = patch;
  const isStep =
    owner === undefined &&
    attempt === undefined &&
    leaseExpiresAtMs === undefined &&
    notBeforeMs === undefined &&
    history === undefined;
  if (isStep) {
    return ["step", jobId, fence.owner, fence.attempt, from, to, startedAtMs, nextSequence];
  }
  return [
    "patch",
    jobId,
    fence.owner,
    fence.attempt,
    from,
    [
      to,
      owner ?? null,
      attempt ?? null,
      leaseExpiresAtMs ?? null,
      startedAtMs,
      notBeforeMs ?? null,
      history === undefined ? null : JSON.stringify(history),
      nextSequence,
    ],
  ];
}

interface FinishRules {
  readonly idempotencyTtlMs: number;
  readonly keepEvents: boolean;
}

/** @throws {LongshoreError} `INVALID_STATE_TRANSITION` */
export function finishOperation(
  change: Finish,
  { idempotencyTtlMs, keepEvents }: FinishRules,
): FinishOperation {
  const { jobId, from, fence, result, finishedAtMs, nextSequence, event } = change;
  const to = result.status;
  storeRules.assertStep(from, to);
  return [
    "finish",
    jobId,
    fence.owner,
    fence.attempt,
    from,
    to,
    finishedAtMs,
    nextSequence ?? null,
    JSON.stringify(result),
    to === "completed" ? finishedAtMs + idempotencyTtlMs : null,
    keepEvents && event !== undefined ? eventOperation(event) : null,
  ];
}

/** @returns what keeps an event of a known job */
export function eventOperation(event: JobEvent): EventOperation {
  return ["event", event.jobId, event.sequence, JSON.stringify(event)];
}

/** @throws {LongshoreError} `NOT_FOUND`, `STATE_CONFLICT` */
export function assertMatched(
  mismatch: Mismatch | undefined,
  change: Omit<Transition, "to" | "patch"> & { readonly to: JobState },
): void {
  if (mismatch === undefined) return;
  storeRules.assertChange(mismatch.actual, change);
  throw new LongshoreError("INTERNAL_ERROR", `Job ${change.jobId} could not be changed.`);
}
