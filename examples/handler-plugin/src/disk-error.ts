import { LongshoreError } from "@longshore/core";

/** The image holds something that cannot be right, or that this plugin cannot read. Trying again does not help. */
export function diskError(message: string, cause?: unknown): LongshoreError {
  return new LongshoreError("DISK_UNREADABLE", message, {
    retryable: false,
    ...(cause !== undefined && { cause }),
  });
}
