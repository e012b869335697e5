import { errorCodeInfo, type ErrorCode } from "./error-codes.ts";

export interface LongshoreErrorOptions extends ErrorOptions {
  /** Machine-readable facts about the failure; JSON values only */
  readonly details?: Readonly<Record<string, unknown>>;
  /** Part of the job in which it happened, e.g. `"validation"` or `"execution"` */
  readonly phase?: string;
  /** Overrides what the code says by default */
  readonly retryable?: boolean;
  /** Wait before trying again, in milliseconds */
  readonly retryAfterMs?: number;
}

/**
 * The error every Longshore package throws for an expected failure. Switch on {@link code}.
 *
 * Handlers may throw it with a code of their own: any `UPPER_SNAKE` string.
 */
export class LongshoreError extends Error {
  override readonly name: string = "LongshoreError";
  readonly code: ErrorCode | (string & {});
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly phase: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode | (string & {}),
    message: string,
    options: LongshoreErrorOptions = {},
  ) {
    super(message, "cause" in options ? { cause: options.cause } : {});
    this.code = code;
    this.details = options.details;
    this.phase = options.phase;
    this.retryable = options.retryable ?? errorCodeInfo(code).retryable;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether a value is a {@link LongshoreError}, of one given code when named. Works across copies of the package. */
export function isLongshoreError(value: unknown, code?: ErrorCode): value is LongshoreError {
  return (
    value instanceof Error &&
    "code" in value &&
    typeof value.code === "string" &&
    "retryable" in value &&
    (code === undefined || value.code === code)
  );
}
