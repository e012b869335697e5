import { LongshoreError, nanosecondsFromMs, type Nanoseconds } from "@longshore/core";
import { readContainerLog } from "@longshore/runtime";
import { exitCodes } from "../../exit-codes.ts";
import { interruptible } from "../../interruptible.ts";
import { findContainer } from "./find-container.ts";
import { reachRuntime, type RuntimeFlags } from "./reach-runtime.ts";
import { invalid } from "./run-flags.ts";

export interface LogsFlags extends RuntimeFlags {
  readonly follow?: boolean;
  readonly tail?: string;
  readonly since?: string;
  readonly timestamps?: boolean;
}

/** Prints what a container has written, each stream to its own. */
export async function showLogs(name: string, flags: LogsFlags): Promise<number> {
  const { follow = false, timestamps = false } = flags;
  const tailLines = flags.tail === undefined ? undefined : wholeNumber("--tail", flags.tail);
  const since = flags.since === undefined ? undefined : sinceTime(flags.since);
  return interruptible(async (signal) => {
    await using runtime = await reachRuntime(flags, { signal });
    const { container } = await findContainer(runtime, name, signal);
    const containerId = container.id;
    const { status } = await runtime.containerStatus({ containerId }, { signal });
    if (status.logPath === undefined) {
      throw new LongshoreError("NOT_FOUND", `${name} has no log: it was made without one.`);
    }
    // However the waiting ends, there is nothing more to follow.
    const until = follow
      ? runtime.waitContainer?.({ containerId }, { signal }).catch(() => undefined)
      : undefined;
    const options = { follow, until, tailLines, since, timestamps, signal };
    for await (const entry of readContainerLog(status.logPath, options)) {
      const target = entry.stream === "stderr" ? process.stderr : process.stdout;
      target.write(entry.content);
      if (!entry.isPartial) target.write("\n");
    }
    return exitCodes.ok;
  });
}

function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  if (/^\d{1,9}$/.test(text)) return value;
  throw invalid(flag, "a whole number", text);
}

const agePattern = /^(\d{1,9})(s|m|h|d)$/;
const unitMs: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A time, or an age like `10m`. */
function sinceTime(text: string): Nanoseconds {
  const [, amount, unit = ""] = agePattern.exec(text) ?? [];
  const timeMs =
    amount === undefined
      ? Date.parse(text)
      : Date.now() - Number(amount) * (unitMs[unit] ?? Number.NaN);
  if (!Number.isNaN(timeMs)) return nanosecondsFromMs(timeMs);
  throw invalid("--since", "a time like 2026-01-31T12:00:00Z, or an age like 10m", text);
}
