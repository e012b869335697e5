import { performance } from "node:perf_hooks";
import type { Nanoseconds } from "@longshore/core";

/** The time of day with the steps of the finer clock, and never earlier than the call before. */
export function logClock(): () => Nanoseconds {
  let last = 0n;
  return () => {
    // Date follows when somebody sets the clock; the fraction comes from the monotonic one.
    const fraction = performance.now() % 1;
    const now = BigInt(Date.now()) * 1_000_000n + BigInt(Math.trunc(fraction * 1e6));
    last = now > last ? now : last + 1n;
    return last;
  };
}
