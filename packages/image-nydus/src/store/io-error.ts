import { isLongshoreError, LongshoreError } from "@longshore/core/errors";

/**
 * What a system call failed with as `IO_ERROR`; any other error as it is.
 *
 * @param what could not be done, e.g. `"read the store"`
 */
export function asIoError(error: unknown, what: string): unknown {
  if (isLongshoreError(error) || !isSystemError(error)) return error;
  return new LongshoreError("IO_ERROR", `Could not ${what}: ${error.message}`, {
    cause: error,
    details: { code: error.code },
  });
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error && "code" in error;
}
