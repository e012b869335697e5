import { LongshoreError } from "@longshore/core";

/** An error of the file system as the contract wants it. */
export function toTransportError(error: unknown, message: string): LongshoreError {
  if (error instanceof LongshoreError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new LongshoreError("TRANSPORT_ERROR", `${message}: ${reason}`, { cause: error });
}
