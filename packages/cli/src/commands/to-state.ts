import { jobStates, LongshoreError, type JobState } from "@longshore/core";

/** @throws {LongshoreError} `CONFIG_ERROR` for a text that is no state */
export function toState(text: string): JobState {
  const state = jobStates.find((known) => known === text);
  if (state !== undefined) return state;
  throw new LongshoreError(
    "CONFIG_ERROR",
    `"${text}" is not a state; the states are ${jobStates.join(", ")}.`,
  );
}
