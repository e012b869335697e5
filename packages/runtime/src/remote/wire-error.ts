import { isLongshoreError, LongshoreError } from "@longshore/core";

/** An error as it travels: what a caller may switch on, without stack and cause. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly code?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly phase?: string | undefined;
  readonly retryable?: boolean | undefined;
  readonly retryAfterMs?: number | undefined;
}

export function toWireError(error: unknown): WireError {
  if (isLongshoreError(error)) {
    const { name, message, code, details, phase, retryable, retryAfterMs } = error;
    return { name, message, code, details, phase, retryable, retryAfterMs };
  }
  if (error instanceof Error) return { name: error.name, message: error.message };
  return { name: "Error", message: String(error) };
}

export function fromWireError(error: WireError): Error {
  const { name, message, code, details, phase, retryable, retryAfterMs } = error;
  if (code !== undefined) {
    return new LongshoreError(code, message, {
      ...(details !== undefined && { details }),
      ...(phase !== undefined && { phase }),
      ...(retryable !== undefined && { retryable }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    });
  }
  switch (name) {
    case "TypeError":
      return new TypeError(message);
    case "RangeError":
      return new RangeError(message);
    default:
      return Object.assign(new Error(message), { name });
  }
}
