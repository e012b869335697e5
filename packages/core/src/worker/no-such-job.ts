import { LongshoreError } from "../errors/longshore-error.ts";

export function noSuchJob(jobId: string): LongshoreError {
  return new LongshoreError("NOT_FOUND", `There is no job ${jobId}.`, { details: { jobId } });
}
