import { decodeJobError, LongshoreError } from "@longshore/core/wire";
import { limitAnswer } from "../limit-answer.ts";

interface HttpCallOptions {
  readonly method?: "GET" | "POST" | "DELETE" | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Sent as JSON */
  readonly body?: unknown;
  /** The same, as text */
  readonly text?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Answers that are no errors besides those from 200 to 299 */
  readonly alsoGood?: readonly number[] | undefined;
}

/** Sends one request and gives back its answer, whose body is not read yet. */
export type HttpCall = (target: string, options?: HttpCallOptions) => Promise<Response>;

export interface HttpCallSetup {
  readonly url: string;
  readonly token: string | undefined;
  readonly fetch: typeof globalThis.fetch;
}

/** Longest error answer that is read */
const maxErrorBytes = 1_048_576;

/** @throws {TypeError} for a URL that is not one of HTTP */
export function httpCall(setup: HttpCallSetup): HttpCall {
  const base = new URL(setup.url);
  if (base.protocol !== "http:" && base.protocol !== "https:") {
    throw new TypeError(`"${setup.url}" is not a URL of HTTP`);
  }
  const root = base.href.endsWith("/") ? base.href.slice(0, -1) : base.href;

  return async (target, options = {}) => {
    const { method = "GET", headers = {}, body, signal, alsoGood = [] } = options;
    const text = options.text ?? (body === undefined ? undefined : JSON.stringify(body));
    signal?.throwIfAborted();
    let response: Response;
    try {
      response = await setup.fetch(`${root}${target}`, {
        method,
        headers: {
          ...(text !== undefined && { "content-type": "application/json" }),
          ...(setup.token !== undefined && { authorization: `Bearer ${setup.token}` }),
          ...headers,
        },
        ...(text !== undefined && { body: text }),
        ...(signal !== undefined && { signal }),
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw new LongshoreError("TRANSPORT_ERROR", `${root} cannot be reached.`, {
        cause: error,
        details: { url: root },
      });
    }
    if (response.ok || alsoGood.includes(response.status)) return response;
    throw await toError(response);
  };
}

/** The error that an answer carries, with its status in `details.status`. */
async function toError(response: Response): Promise<LongshoreError> {
  const { status } = response;
  const waitMs = toWaitMs(response.headers.get("retry-after"));
  const retryAfterMs = waitMs === undefined ? {} : { retryAfterMs: waitMs };
  try {
    const value: unknown = await limitAnswer(response, maxErrorBytes).json();
    if (typeof value === "object" && value !== null && "error" in value) {
      const { code, message, details, phase, recoverable } = decodeJobError(value.error);
      return new LongshoreError(code, message, {
        details: { ...details, status },
        ...(phase !== undefined && { phase }),
        retryable: recoverable,
        ...retryAfterMs,
      });
    }
  } catch {
    // Something between the worker and here has answered: its status is all that is understood.
  }
  return new LongshoreError("TRANSPORT_ERROR", `The worker's address answered ${status}.`, {
    details: { status },
    retryable: status >= 500 || status === 429,
    ...retryAfterMs,
  });
}

/** `Retry-After` in milliseconds: seconds or a date, see RFC 9110 §10.2.3. */
function toWaitMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  const waitMs = /^\d{1,9}(\.\d+)?$/.test(header.trim())
    ? Number(header) * 1_000
    : Date.parse(header) - Date.now();
  return Number.isFinite(waitMs) ? Math.max(0, waitMs) : undefined;
}
