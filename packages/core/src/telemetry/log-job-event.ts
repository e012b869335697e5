import type { JobEvent } from "../job/job-event.ts";
import { silentLogger, type Logger } from "./logger.ts";

/** Writes a job's event as a log entry: states and progress at info, the rest at debug. */
export function logJobEvent(logger: Logger, event: JobEvent): void {
  if (logger === silentLogger) return;
  const { jobId, kind, phase, progressPercent, message, attempt } = event;
  const fields = {
    jobId,
    kind,
    phase,
    attempt,
    ...(progressPercent !== undefined && { progressPercent }),
    ...(event.details !== undefined && { details: event.details }),
    ...(kind !== "state" && { text: message }),
  };
  if (kind === "state") logger.info(fields, `job ${phase}`);
  else if (kind === "progress") logger.info(fields, "job progress");
  else logger.debug(fields, `job ${kind}`);
}
