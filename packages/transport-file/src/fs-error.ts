import { LongshoreError } from "@longshore/core";

/** Whether an error of the file system has one of the codes. */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "string" &&
    codes.includes(error.code)
  );
}

/** An error of the file system as the contract wants it. */
export function toTransportError(error: unknown, message: string): LongshoreError {
  if (error instanceof LongshoreError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new LongshoreError("TRANSPORT_ERROR", `${message}: ${reason}`, { cause: error });
}
