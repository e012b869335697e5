import { LongshoreError, type Abortable, type JobEvent, type JobResult } from "@longshore/core";
import type { Terminal } from "../terminal.ts";
import { showEvents } from "./show-events.ts";

/** A job that was submitted, whichever way leads to its worker. */
export interface WatchedJob {
  readonly jobId: string;
  events(options: { readonly signal: AbortSignal }): AsyncIterable<JobEvent>;
  result(options: Abortable): Promise<JobResult>;
  cancel(): Promise<unknown>;
}

/** Shows a job's events until its result is there. Ctrl-C cancels the job; a second one only stops waiting. */
export async function watchJob(terminal: Terminal, job: WatchedJob): Promise<JobResult> {
  const ended = new AbortController();
  const interrupted = new AbortController();
  let interrupts = 0;
  const onInterrupt = (): void => {
    interrupts += 1;
    if (interrupts > 1) {
      interrupted.abort(new LongshoreError("CANCELLED", "No longer waiting; the job goes on."));
      return;
    }
    terminal.note(`cancelling ${job.jobId} (once more to stop waiting)`);
    job.cancel().catch((error: unknown) => {
      interrupted.abort(error);
    });
  };
  process.on("SIGINT", onInterrupt);
  const { signal } = ended;
  const shown = showEvents(terminal, job.events({ signal }), signal);
  try {
    return await job.result({ signal: interrupted.signal });
  } finally {
    process.off("SIGINT", onInterrupt);
    ended.abort();
    await shown;
  }
}
