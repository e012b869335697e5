import { Readable } from "node:stream";
import type { Abortable } from "@longshore/core";
import { eitherSignal } from "../abort.ts";
import { pullFailed, pullRefused } from "../registry-errors.ts";
import type { ClientSettings } from "./client-options.ts";
import type { Dispatchers } from "./dispatchers.ts";

/** What both sides of one or several requests need. */
export interface HttpContext {
  readonly settings: ClientSettings;
  readonly dispatchers: Dispatchers;
}

export interface HttpRequest extends Abortable {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Asked for anew when a request is repeated */
  readonly body?: (() => AsyncIterable<Buffer> | Buffer) | undefined;
  /** Bytes of the body */
  readonly bodyLength?: number | undefined;
  /** Value of the Authorization header; sent to the host of `url` only */
  readonly authorization?: string | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** To be read to its end, or destroyed */
  readonly body: Readable;
  /** Where the answer came from, after redirects */
  readonly url: URL;
}

const maxRedirects = 5;
const redirectStatus = new Set([301, 302, 303, 307, 308]);

/**
 * One request and its redirects, for GET and HEAD. Another origin (scheme, host, port) gets no Authorization header, and
 * https is never left. Statuses are not judged.
 *
 * @throws {LongshoreError} `IMAGE_PULL_FAILED`
 */
export async function exchange(context: HttpContext, request: HttpRequest): Promise<HttpAnswer> {
  let { url, authorization } = request;
  for (let redirects = 0; ; redirects += 1) {
    const answer = await sendOnce(context, { ...request, url, authorization });
    const location = headerOf(answer, "location");
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (!isRead || !redirectStatus.has(answer.status) || location === undefined) return answer;
    discard(answer);
    if (redirects >= maxRedirects) throw pullRefused(`${url.host} redirects without an end.`);
    const next = resolveLocation(location, url);
    if (next.origin !== url.origin) authorization = undefined;
    url = next;
  }
}

/**
 * The address in a header of an answer.
 *
 * @throws {LongshoreError} `IMAGE_PULL_FAILED` when it is none, or leads from https to http
 */
export function resolveLocation(location: string, base: URL): URL {
  const next = URL.canParse(location, base.href) ? new URL(location, base) : undefined;
  const isHttp = next?.protocol === "https:" || next?.protocol === "http:";
  if (next === undefined || !isHttp || next.username !== "" || next.password !== "") {
    throw pullRefused(`${base.host} redirects to an address that cannot be used.`);
  }
  if (base.protocol === "https:" && next.protocol !== "https:") {
    throw pullRefused(`${base.host} redirects from https to http, to ${next.host}.`);
  }
  return next;
}

/** A header that is sent once. */
export function headerOf(
  { headers }: Pick<HttpAnswer, "headers">,
  name: string,
): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Ends an answer whose body nobody wants. */
export function discard({ body }: Pick<HttpAnswer, "body">): void {
  // Destroying a body that is not at its end is an error to undici, but not to us.
  body.once("error", () => {});
  body.destroy();
}

async function sendOnce(
  { settings, dispatchers }: HttpContext,
  request: HttpRequest,
): Promise<HttpAnswer> {
  const { url, signal } = request;
  signal?.throwIfAborted();
  const body = request.body?.();
  try {
    const answer = await dispatchers.request(url, {
      method: request.method,
      headers: {
        "user-agent": settings.userAgent,
        // A packed body would have another digest.
        "accept-encoding": "identity",
        ...request.headers,
        ...(request.bodyLength !== undefined && { "content-length": String(request.bodyLength) }),
        ...(request.authorization !== undefined && { authorization: request.authorization }),
      },
      body: body === undefined || Buffer.isBuffer(body) ? (body ?? null) : Readable.from(body),
      headersTimeout: settings.requestTimeoutMs,
      bodyTimeout: settings.stallTimeoutMs,
      ...(signal && { signal }),
    });
    return { status: answer.statusCode, headers: answer.headers, body: answer.body, url };
  } catch (error) {
    signal?.throwIfAborted();
    throw connectionError(error, url);
  }
}

const tlsErrors =
  /^(?:CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|EPROTO$|HOSTNAME_MISMATCH)/;

/** What went wrong below HTTP, as an error of ours. Addresses lose their query: it may hold a signature. */
export function connectionError(error: unknown, url: URL): Error {
  if (error instanceof Error && error.name === "LongshoreError") return error;
  const code = errorCode(error);
  const where = url.host;
  if (tlsErrors.test(code)) {
    return pullRefused(`${where} cannot be trusted, or speaks no TLS (${code}).`, { cause: error });
  }
  if (code === "ENOTFOUND") {
    return pullFailed(`There is no host ${url.hostname}.`, { cause: error });
  }
  if (code === "UND_ERR_INVALID_ARG") {
    return pullRefused(`The request to ${where} cannot be sent.`);
  }
  const reason = code === "" ? "" : ` (${code})`;
  return pullFailed(`The connection to ${where} failed${reason}.`, { cause: error });
}

function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return "";
  if ("code" in error && typeof error.code === "string") return error.code;
  return errorCode(error.cause);
}

/** A signal that also aborts when a whole document takes too long. */
export function documentSignal(settings: ClientSettings, signal?: AbortSignal): AbortSignal {
  return eitherSignal(signal, AbortSignal.timeout(settings.requestTimeoutMs));
}
