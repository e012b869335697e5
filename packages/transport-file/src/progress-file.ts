import { appendFile } from "node:fs/promises";
import { encodeJobEvent, isJobId, type JobEvent } from "@longshore/core";
import { progressPath } from "./layout.ts";

/** Appends the events of each job to `<results>/<job_id>-progress.jsonl`. */
export interface ProgressFiles {
  add(event: JobEvent): void;
  /** Resolves when everything that was added is written. */
  flush(): Promise<void>;
}

/** Text that may wait to be written, for all jobs; what comes on top is left out. */
const maxPendingLength = 8 * 1_048_576;

export function progressFiles(
  resultsDir: string,
  onError: (error: unknown) => void,
): ProgressFiles {
  const pending = new Map<string, string>();
  let pendingLength = 0;
  let writing: Promise<void> | undefined;

  async function write(): Promise<void> {
    while (pending.size > 0) {
      const batch = [...pending];
      pending.clear();
      pendingLength = 0;
      for (const [jobId, lines] of batch) {
        await appendFile(progressPath(resultsDir, jobId), lines).catch(onError);
      }
    }
    writing = undefined;
  }

  return {
    add(event) {
      if (!isJobId(event.jobId)) return;
      const line = `${JSON.stringify(encodeJobEvent(event))}\n`;
      if (pendingLength + line.length > maxPendingLength) return;
      pendingLength += line.length;
      pending.set(event.jobId, (pending.get(event.jobId) ?? "") + line);
      writing ??= Promise.resolve().then(write);
    },
    flush: () => writing ?? Promise.resolve(),
  };
}
