import { LongshoreError } from "../errors/longshore-error.ts";

/** Every state a stored job can be in. */
export const jobStates = [
  "pending",
  "queued",
  "assigned",
  "running",
  "cancelling",
  "completed",
  "failed",
  "timeout",
  "cancelled",
  "abandoned",
] as const;

export type JobState = (typeof jobStates)[number];

/** A state nothing leaves. */
export type TerminalJobState = "completed" | "failed" | "timeout" | "cancelled" | "abandoned";

const nextStates: Readonly<Record<JobState, readonly JobState[]>> = {
  pending: ["queued", "failed", "cancelled"],
  queued: ["assigned", "failed", "timeout", "cancelled"],
  assigned: ["queued", "running", "failed", "timeout", "cancelled", "abandoned"],
  running: ["queued", "cancelling", "completed", "failed", "timeout", "cancelled", "abandoned"],
  cancelling: ["completed", "failed", "timeout", "cancelled", "abandoned"],
  completed: [],
  failed: [],
  timeout: [],
  cancelled: [],
  abandoned: [],
};

/** Whether a job may go from one state to the other; a state never follows itself. */
export function canTransition(from: JobState, to: JobState): boolean {
  return nextStates[from].includes(to);
}

/** @throws {LongshoreError} `INVALID_STATE_TRANSITION` */
export function assertTransition(from: JobState, to: JobState): void {
  if (canTransition(from, to)) return;
  throw new LongshoreError("INVALID_STATE_TRANSITION", `A job cannot go from ${from} to ${to}.`, {
    details: { from, to, allowed: nextStates[from] },
  });
}

export function isTerminal(state: JobState): state is TerminalJobState {
  return nextStates[state].length === 0;
}
