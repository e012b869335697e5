import { isLongshoreError, LongshoreError } from "@longshore/core";
import type { z } from "zod";
import { httpCall } from "../client/http-call.ts";
import { limitAnswer } from "../limit-answer.ts";
import type { ResolvedPollingOptions } from "./polling-options.ts";

interface MasterRequest<Schema extends z.ZodType> {
  readonly method: "GET" | "POST" | "DELETE";
  readonly body?: object | undefined;
  /** What the answer must be; of one that is not looked at, nothing is read */
  readonly answer?: Schema | undefined;
  /** How long the master may hold the answer back, in milliseconds. @default 0 */
  readonly holdMs?: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * Asks the master one thing.
 *
 * @throws {LongshoreError} what the master answered, with `details.status`; `TRANSPORT_ERROR` when it does not answer, or
 *   with something that is not of the protocol
 */
export type MasterCall = <Schema extends z.ZodType>(
  target: string,
  request: MasterRequest<Schema>,
) => Promise<z.infer<Schema>>;

/** Slowest line that a long answer is given time for, in bytes a second */
const slowestLine = 65_536;

export function masterCall(options: ResolvedPollingOptions): MasterCall {
  const { url, token, requestTimeoutMs, maxAnswerBytes } = options;
  const call = httpCall({
    url,
    token: undefined,
    // A redirect would take the token elsewhere.
    fetch: async (input, init) =>
      limitAnswer(await options.fetch(input, { ...init, redirect: "error" }), maxAnswerBytes),
  });

  return async <Schema extends z.ZodType>(
    target: string,
    { method, body, answer, holdMs = 0, signal }: MasterRequest<Schema>,
  ): Promise<z.infer<Schema>> => {
    const bearer = typeof token === "function" ? await token() : token;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const sendMs = ((text?.length ?? 0) / slowestLine) * 1_000;
    // By hand: signals that are made of others, and their timers, would outlive thousands of requests.
    const stop = new AbortController();
    const onAbort = (): void => {
      stop.abort(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    const timer = setTimeout(
      () => {
        stop.abort(new LongshoreError("TRANSPORT_ERROR", "The master did not answer in time."));
      },
      Math.ceil(holdMs + requestTimeoutMs + sendMs),
    );
    try {
      signal.throwIfAborted();
      const response = await call(target, {
        method,
        text,
        headers: {
          ...(bearer !== undefined && { authorization: `Bearer ${bearer.trim()}` }),
          accept: "application/json",
        },
        signal: stop.signal,
      });
      if (answer === undefined) {
        await response.body?.cancel();
        return undefined as z.infer<Schema>;
      }
      return parse(await response.text(), answer);
    } catch (error) {
      signal.throwIfAborted();
      if (isLongshoreError(error)) throw error;
      throw new LongshoreError("TRANSPORT_ERROR", "The master's answer broke off.", {
        cause: error,
      });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    }
  };
}

function parse<Schema extends z.ZodType>(text: string, schema: Schema): z.infer<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new LongshoreError("TRANSPORT_ERROR", "The master's answer is not JSON.", {
      cause: error,
    });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues
    .slice(0, 10)
    .map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new LongshoreError(
    "TRANSPORT_ERROR",
    `The master's answer is not one of the protocol: ${issues.join("; ")}`,
    { details: { issues } },
  );
}
