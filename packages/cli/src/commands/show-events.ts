import type { JobEvent } from "@longshore/core";
import { createLogUpdate } from "log-update";
import { progressBar, type Terminal } from "../terminal.ts";

/** Shows a job's events as they come, on one live line where there is a terminal; the signal ends the show. */
export async function showEvents(
  terminal: Terminal,
  events: AsyncIterable<JobEvent>,
  signal: AbortSignal,
): Promise<void> {
  if (terminal.isJson) return;
  const live = terminal.isLive ? createLogUpdate(process.stderr) : undefined;
  let percent = 0;
  const line = (event: JobEvent): string =>
    `${progressBar(percent)}  ${event.phase}  ${event.message}`;
  try {
    live?.(`${progressBar(0)}  waiting for a worker`);
    for await (const event of events) {
      percent = event.progressPercent ?? percent;
      if (live === undefined) terminal.note(line(event));
      else live(line(event));
    }
  } catch (error) {
    // The end of the job ends the show; anything else only costs the picture, not the result.
    if (!signal.aborted) terminal.note(`progress: ${String(error)}`);
  } finally {
    live?.clear();
  }
}
