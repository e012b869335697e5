import { LongshoreError, type JobResult } from "@longshore/core";
import type { WorkerClient } from "@longshore/transport-http/client";
import type { Terminal } from "../../terminal.ts";
import { showEvents } from "../show-events.ts";

/** Shows a job's events until its result is there. Ctrl-C cancels the job; a second one only stops waiting. */
export async function followJob(
  client: WorkerClient,
  jobId: string,
  terminal: Terminal,
): Promise<JobResult> {
  const ended = new AbortController();
  const interrupted = new AbortController();
  let interrupts = 0;
  const onInterrupt = (): void => {
    interrupts += 1;
    if (interrupts > 1) {
      interrupted.abort(new LongshoreError("CANCELLED", "No longer waiting; the job goes on."));
      return;
    }
    terminal.note(`cancelling ${jobId} (once more to stop waiting)`);
    client.cancel(jobId).catch((error: unknown) => {
      interrupted.abort(error);
    });
  };
  process.on("SIGINT", onInterrupt);
  const { signal } = ended;
  const shown = showEvents(terminal, client.events(jobId, { signal }), signal);
  try {
    return await client.result(jobId, { signal: interrupted.signal });
  } finally {
    process.off("SIGINT", onInterrupt);
    ended.abort();
    await shown;
  }
}
