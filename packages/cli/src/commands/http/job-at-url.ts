import type { WorkerClient } from "@longshore/transport-http/client";
import type { WatchedJob } from "../watch-job.ts";

/** A job of a worker that is reached by its URL. */
export function jobAtUrl(client: WorkerClient, jobId: string): WatchedJob {
  return {
    jobId,
    events: (options) => client.events(jobId, options),
    result: (options) => client.result(jobId, options),
    cancel: () => client.cancel(jobId),
  };
}
