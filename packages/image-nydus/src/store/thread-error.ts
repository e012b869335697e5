import { isLongshoreError, LongshoreError } from "@longshore/core/errors";

/** An error on its way between threads, where it would lose its class and code. */
export interface ThreadError {
  readonly message: string;
  readonly code: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly retryable: boolean | undefined;
  readonly cause: ThreadError | undefined;
}

/** Causes of causes that are kept */
const maxDepth = 4;

export function packError(error: unknown, depth = 0): ThreadError {
  const message = error instanceof Error ? error.message : String(error);
  const cause = error instanceof Error && depth < maxDepth ? error.cause : undefined;
  const packed = cause === undefined ? undefined : packError(cause, depth + 1);
  if (!isLongshoreError(error)) {
    return { message, code: undefined, details: undefined, retryable: undefined, cause: packed };
  }
  const { code, details, retryable } = error;
  return { message, code, details, retryable, cause: packed };
}

export function unpackError({ message, code, details, retryable, cause }: ThreadError): Error {
  const options = cause === undefined ? {} : { cause: unpackError(cause) };
  if (code === undefined) return new Error(message, options);
  return new LongshoreError(code, message, {
    ...options,
    ...(details !== undefined && { details }),
    ...(retryable !== undefined && { retryable }),
  });
}
