import { setTimeout } from "node:timers/promises";

/** Waits; ends early when the signal aborts. Never rejects. */
export type Sleep = (timeMs: number, signal: AbortSignal) => Promise<void>;

export const sleep: Sleep = (timeMs, signal) =>
  setTimeout(timeMs, undefined, { signal }).catch(() => undefined);
