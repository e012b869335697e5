import { LongshoreError } from "../errors/longshore-error.ts";

export function shutdownError(): LongshoreError {
  return new LongshoreError("SHUTDOWN", "The worker stopped before the job ended.");
}
