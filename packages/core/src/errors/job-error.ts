import { isLongshoreError } from "./longshore-error.ts";
import { jsonDetails } from "./json-details.ts";
import { errorCodeInfo } from "./error-codes.ts";

/** The error object of results, refusals and HTTP answers. */
export interface JobError {
  /** Stable code, see `errorCodes` */
  readonly code: string;
  /** One sentence for a person */
  readonly message: string;
  /** Part of the job in which it happened */
  readonly phase?: string | undefined;
  /** Machine-readable facts */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  /** Whether the same job could succeed at another time */
  readonly recoverable: boolean;
  /** Whether the worker itself should try again */
  readonly retryRecommended: boolean;
  /** Wait before trying again */
  readonly retryAfterSeconds?: number | undefined;
  /** Code of the error underneath, e.g. `"ENOENT"` */
  readonly causeCode?: string | undefined;
}

const maxCodeLength = 64;
const maxMessageLength = 4_000;

/**
 * The wire form of anything that was thrown, which is JSON and of bounded size. Never includes a stack.
 *
 * @param fallbackCode code for an error that carries none. @default "EXECUTION_ERROR"
 */
export function toJobError(thrown: unknown, fallbackCode = "EXECUTION_ERROR"): JobError {
  const known = isLongshoreError(thrown) ? thrown : undefined;
  const code = known === undefined || known.code === "" ? fallbackCode : known.code;
  const message = messageOf(thrown);
  const details = jsonDetails(known?.details);
  const retryable = known?.retryable ?? errorCodeInfo(code).retryable;
  const causeCode = known === undefined ? codeOf(thrown) : codeOf(known.cause);
  return {
    code: code.slice(0, maxCodeLength),
    message: (message === "" ? code : message).slice(0, maxMessageLength),
    recoverable: retryable,
    retryRecommended: retryable,
    ...(known?.phase !== undefined && { phase: known.phase }),
    ...(details !== undefined && { details }),
    ...(known?.retryAfterMs !== undefined && { retryAfterSeconds: known.retryAfterMs / 1_000 }),
    ...(causeCode !== undefined && { causeCode }),
  };
}

function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message;
  try {
    return String(thrown);
  } catch {
    return "something was thrown that cannot be shown";
  }
}

function codeOf(value: unknown): string | undefined {
  return value instanceof Error && "code" in value && typeof value.code === "string"
    ? value.code
    : undefined;
}
