import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { LongshoreError, type Logger, type Policy } from "@longshore/core";
import type { ApiAnswer, ApiRequest } from "../api-route.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import { WithFields } from "../with-fields.ts";
import { checkOrigin, preflightHeaders } from "./cors.ts";
import { errorAnswer, statusOf } from "./error-answer.ts";
import { isTooLongToSkip, linger } from "./linger.ts";
import { readBody } from "./read-body.ts";
import { requestLives, type RequestLife } from "./request-lives.ts";
import { isVersioned, type MatchedRoute, type RouteTable } from "./route-table.ts";
import { writeAnswer } from "./write-answer.ts";

export interface RequestHandlerOptions {
  readonly routes: RouteTable;
  readonly policy: Policy;
  readonly authenticators: readonly Authenticator[];
  readonly origins: readonly string[];
  readonly maxBodyBytes: number;
  readonly stallTimeoutMs: number;
  /** Changes answers of `/api/v1` before they leave */
  readonly view: (answer: ApiAnswer) => ApiAnswer;
  readonly logger: Logger;
  /** Aborts when the server closes */
  readonly closing: AbortSignal;
}

const requestIdPattern = /^[A-Za-z0-9._:-]{1,128}$/;
const headersOfAll = {
  "x-content-type-options": "nosniff",
  "cache-control": "no-store",
} as const;

/** Takes one request through: origin, route, credentials, policy, the route itself, and its answer. */
export function requestHandler(
  options: RequestHandlerOptions,
): (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void> {
  const { routes, policy, authenticators, logger } = options;
  const follow = requestLives(options.closing);

  return async (incoming, outgoing) => {
    const given = incoming.headers["x-request-id"];
    const requestId =
      typeof given === "string" && requestIdPattern.test(given) ? given : randomUUID();
    const life = follow(outgoing);
    const call = { incoming, requestId, life };
    const { method = "GET" } = incoming;
    const [path = "/"] = targetOf(incoming).split("?", 1);
    let originHeaders: Readonly<Record<string, string>> = {};
    let answer: ApiAnswer;
    try {
      originHeaders = checkOrigin(incoming, {
        origins: options.origins,
        isOpen: authenticators.length === 0,
      });
      answer = method === "OPTIONS" ? allow(path) : await serve(call, routes.match(method, path));
    } catch (thrown) {
      if (life.isOver) return;
      const [error, fields] =
        thrown instanceof WithFields ? [thrown.reason, thrown.fields] : [thrown, {}];
      if (statusOf(error) >= 500 && !isExpected(error)) {
        logger.error({ err: error, requestId, method, path }, "request failed");
      }
      answer = withChallenge(errorAnswer(error, requestId, fields));
    }
    if (isVersioned(path)) answer = options.view(answer);
    const isEnd = answer.headers?.["connection"] === "close" || isTooLongToSkip(incoming);
    if (isEnd && !incoming.complete) linger(incoming);
    const headers = {
      ...headersOfAll,
      ...originHeaders,
      ...answer.headers,
      "x-request-id": requestId,
      ...(isEnd && { connection: "close" }),
    };
    await writeAnswer(
      outgoing,
      { ...answer, headers },
      { isHead: method === "HEAD", life, stallTimeoutMs: options.stallTimeoutMs },
    );
  };

  function withChallenge(answer: ApiAnswer): ApiAnswer {
    const challenges = authenticators.flatMap(({ challenge }) => challenge ?? []);
    if (answer.status !== 401 || challenges.length === 0) return answer;
    return {
      ...answer,
      headers: { ...answer.headers, "www-authenticate": challenges.join(", ") },
    };
  }

  function allow(path: string): ApiAnswer {
    const methods = path === "*" ? ["GET", "POST", "DELETE"] : routes.methods(path);
    if (methods.length === 0) {
      throw new LongshoreError("NOT_FOUND", "There is nothing at this path.");
    }
    return { status: 204, headers: { allow: methods.join(", "), ...preflightHeaders(methods) } };
  }

  async function serve(call: Call, { route, params }: MatchedRoute): Promise<ApiAnswer> {
    const { incoming, life } = call;
    let body: Promise<Uint8Array> | undefined;
    const { maxBodyBytes = options.maxBodyBytes } = route;
    const readOnce = (): Promise<Uint8Array> =>
      (body ??= Promise.resolve().then(() => readBody(incoming, maxBodyBytes)));
    const subject = route.access === "public" ? "anonymous" : await whoIs(incoming, readOnce);
    let wasAsked = route.access === "public" || route.access === "inside";
    const isAllowed = async (object: string, action: string): Promise<boolean> => {
      wasAsked = true;
      const asked = { subject, domain: "*", object, action };
      const decision = await policy.check(asked, { signal: life.signal });
      return decision.allowed;
    };
    const authorize = async (object: string, action: string): Promise<void> => {
      if (await isAllowed(object, action)) return;
      throw new LongshoreError(
        "POLICY_DENIED",
        `The policy "${policy.name}" does not let ${subject} ${action} ${object}.`,
        { details: { subject, object, action } },
      );
    };
    if (typeof route.access === "object") {
      await authorize(route.access.object, route.access.action);
    }
    const answer = await route.handle(
      toRequest({ ...call, params, subject }, { body: readOnce, authorize, isAllowed }),
    );
    if (wasAsked || answer.status >= 400) return answer;
    throw new Error(`the route ${route.method} ${route.path} did not ask the policy`);
  }

  async function whoIs(
    incoming: IncomingMessage,
    body: () => Promise<Uint8Array>,
  ): Promise<string> {
    if (authenticators.length === 0) return "anonymous";
    const { method = "GET" } = incoming;
    for (const authenticator of authenticators) {
      const credentials = { incoming, method, target: targetOf(incoming), body };
      const subject = await authenticator.authenticate(credentials);
      if (subject !== undefined) return subject;
    }
    throw new LongshoreError("UNAUTHENTICATED", "The request needs credentials.");
  }
}

interface Call {
  readonly incoming: IncomingMessage;
  readonly requestId: string;
  readonly life: RequestLife;
}

function toRequest(
  {
    incoming,
    requestId,
    life,
    params,
    subject,
  }: Call & { readonly params: ApiRequest["params"]; readonly subject: string },
  functions: Pick<ApiRequest, "body" | "authorize" | "isAllowed">,
): ApiRequest {
  const target = targetOf(incoming);
  const query = target.includes("?") ? target.slice(target.indexOf("?") + 1) : "";
  const { method = "GET" } = incoming;
  return {
    method: method === "HEAD" ? "GET" : method,
    isHead: method === "HEAD",
    requestId,
    subject,
    client: subject === "anonymous" ? (incoming.socket.remoteAddress ?? "unknown") : subject,
    params,
    query: new URLSearchParams(query),
    get signal() {
      return life.signal;
    },
    header(name) {
      const value = incoming.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    ...functions,
  };
}

/** Path with query; of a request that names the whole URL, these two of it. */
function targetOf({ url = "/" }: IncomingMessage): string {
  if (!/^https?:\/\//i.test(url)) return url;
  const path = url.indexOf("/", url.indexOf("//") + 2);
  return path === -1 ? "/" : url.slice(path);
}

function isExpected(error: unknown): boolean {
  return error instanceof LongshoreError && error.code === "WORKER_DRAINING";
}
