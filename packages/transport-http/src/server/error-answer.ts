import {
  encodeJobError,
  errorCodeInfo,
  isLongshoreError,
  LongshoreError,
  toJobError,
} from "@longshore/core";
import { jsonAnswer, type ApiAnswer } from "../api-route.ts";
import { HttpError } from "../http-error.ts";

/** Wait that an answer of 429 or 503 recommends when the error names none. */
const defaultRetryAfterSeconds = 1;

interface ErrorFields {
  readonly error: Readonly<Record<string, unknown>>;
  readonly request_id: string;
}

/** What a client is told about something that was thrown, and nothing of the inside. */
export function errorFields(
  thrown: unknown,
  requestId: string,
  fields: Readonly<Record<string, unknown>> = {},
): ErrorFields {
  const shown = shownError(thrown, statusOf(thrown), requestId);
  return {
    ...fields,
    error: encodeJobError(toJobError(shown, "INTERNAL_ERROR")),
    request_id: requestId,
  };
}

/** The answer with {@link errorFields}. */
export function errorAnswer(
  thrown: unknown,
  requestId: string,
  fields?: Readonly<Record<string, unknown>>,
): ApiAnswer {
  const status = statusOf(thrown);
  const value = errorFields(thrown, requestId, fields);
  const { retry_after_seconds: retryAfter } = value.error;
  const headers: Record<string, string> = thrown instanceof HttpError ? { ...thrown.headers } : {};
  if (status === 429 || status === 503) {
    const seconds = typeof retryAfter === "number" ? retryAfter : defaultRetryAfterSeconds;
    headers["retry-after"] = String(Math.max(1, Math.ceil(seconds)));
  }
  return jsonAnswer(status, value, headers);
}

export function statusOf(thrown: unknown): number {
  if (thrown instanceof HttpError) return thrown.status;
  if (!isLongshoreError(thrown)) return 500;
  return errorCodeInfo(thrown.code).httpStatus ?? 500;
}

/** What broke inside has paths and names in it that are nobody's business: only its code goes out. */
function shownError(thrown: unknown, status: number, requestId: string): unknown {
  if (status !== 500) return thrown;
  const code = isLongshoreError(thrown) ? thrown.code : "INTERNAL_ERROR";
  return new LongshoreError(
    code,
    `The worker could not do this; its log has more under ${requestId}.`,
  );
}
