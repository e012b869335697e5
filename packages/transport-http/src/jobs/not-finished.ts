import { LongshoreError, type JobRecord } from "@longshore/core";

/** What was asked for needs a job that has ended. */
export function notFinished({ jobId, state }: JobRecord): LongshoreError {
  return new LongshoreError("JOB_NOT_FINISHED", `Job ${jobId} is ${state}.`, {
    details: { state },
  });
}
