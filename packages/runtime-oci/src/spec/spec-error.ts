import { LongshoreError } from "@longshore/core";

/** A setting that makes no sense anywhere. `field` is its name in the CRI's configuration. */
export function invalid(field: string, message: string, cause?: unknown): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", message, {
    details: { field },
    ...(cause !== undefined && { cause }),
  });
}

/** A setting that this machine, kernel or runtime cannot honour. `field` as in {@link invalid}. */
export function unsupported(field: string, message: string): LongshoreError {
  return new LongshoreError("RUNTIME_NOT_SUPPORTED", message, { details: { field } });
}
