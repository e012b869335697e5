import { LongshoreError } from "@longshore/core/errors";

const maxShown = 200;

/** A text of someone else as it may stand in a message: short, on one line. */
export function shown(text: string): string {
  const short = text.length > maxShown ? `${text.slice(0, maxShown)}…` : text;
  return JSON.stringify(short);
}

/** `VALIDATION_ERROR` that names what is wrong and what was expected instead. */
export function invalid(
  field: string,
  expected: string,
  options: ErrorOptions = {},
): LongshoreError {
  return new LongshoreError("VALIDATION_ERROR", `${field}: ${expected}`, {
    ...options,
    details: { field, expected },
  });
}

/** `IMAGE_NOT_FOUND`. */
export function imageNotFound(message: string, options: ErrorOptions = {}): LongshoreError {
  return new LongshoreError("IMAGE_NOT_FOUND", message, options);
}

/** `IMAGE_CHECKSUM_MISMATCH`: bytes that are not those the digest or the size promises. */
export function checksumMismatch(
  what: string,
  expected: string | number,
  actual: string | number,
): LongshoreError {
  return new LongshoreError(
    "IMAGE_CHECKSUM_MISMATCH",
    `${what} is not what was asked for: expected ${expected}, got ${actual}.`,
    { details: { expected, actual } },
  );
}

/** `REGISTRY_AUTH_FAILED`. Messages must not hold anything of the credentials. */
export function authFailed(message: string, options: ErrorOptions = {}): LongshoreError {
  return new LongshoreError("REGISTRY_AUTH_FAILED", message, options);
}

/** `IMAGE_PULL_FAILED` for something that may work another time. */
export function pullFailed(
  message: string,
  options: ErrorOptions & { readonly retryAfterMs?: number | undefined } = {},
): LongshoreError {
  const { retryAfterMs, ...rest } = options;
  return new LongshoreError("IMAGE_PULL_FAILED", message, {
    ...rest,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/** `IMAGE_PULL_FAILED` for something that fails in the same way each time. */
export function pullRefused(message: string, options: ErrorOptions = {}): LongshoreError {
  return new LongshoreError("IMAGE_PULL_FAILED", message, { ...options, retryable: false });
}
