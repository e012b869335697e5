import type { DriverExit } from "@longshore/core";
import { z } from "zod";
import { signalName } from "../container/signal-numbers.ts";

const exitSchema = z.object({
  exitCode: z.int(),
  signal: z.int(),
  isOomKilled: z.boolean(),
  finishedAt: z.string().regex(/^\d{1,20}$/),
});

/** Reads what a monitor says or wrote of a process's end; `undefined` for a text that is none. */
export function parseExitRecord(text: string): DriverExit | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // A disk that lost power may hold an empty file.
    return undefined;
  }
  const parsed = exitSchema.safeParse(json);
  if (!parsed.success) return undefined;
  const { exitCode, isOomKilled, finishedAt } = parsed.data;
  const signal = signalName(parsed.data.signal);
  return {
    exitCode,
    isOomKilled,
    finishedAt: BigInt(finishedAt),
    ...(signal !== undefined && { signal }),
  };
}
