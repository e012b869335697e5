import { z } from "zod";
import { parseBoundedJson } from "../bounded-json.ts";
import { documentSignal, discard, exchange, type HttpContext } from "../client/http-exchange.ts";
import { answerError } from "../client/answer-error.ts";
import { isLoopback } from "../client/registry-host.ts";
import { readAll } from "../read-all.ts";
import { authFailed } from "../registry-errors.ts";
import { basicAuthorization, type Credentials } from "./credentials.ts";

/** Where a registry sends its clients for tokens. */
export interface TokenServer {
  readonly realm: URL;
  readonly service?: string | undefined;
}

export interface Token {
  /** Never logged */
  readonly value: string;
  /** From when on a new one is fetched, in milliseconds since 1970: some time before this one ends */
  readonly renewAt: number;
  /** Takes the place of the identity token it came for */
  readonly refreshToken?: string | undefined;
}

export interface TokenRequest {
  readonly server: TokenServer;
  /** `repository:library/alpine:pull`; several are parted by spaces */
  readonly scope: string;
  readonly credentials?: Credentials | undefined;
}

const clientId = "longshore";
const maxAnswerBytes = 256 * 1_024;
const defaultLifetimeSeconds = 60;
const maxLifetimeSeconds = 24 * 3_600;
const maxMarginMs = 20_000;

const answerSchema = z.looseObject({
  token: z.string().max(131_072).nullish(),
  access_token: z.string().max(131_072).nullish(),
  expires_in: z.number().nullish(),
  refresh_token: z.string().max(131_072).nullish(),
});

/**
 * The token server that a challenge names.
 *
 * @throws {LongshoreError} `REGISTRY_AUTH_FAILED` when credentials would travel in the clear to get there
 */
export function readTokenServer(
  parameters: ReadonlyMap<string, string>,
  registry: URL,
): TokenServer {
  const text = parameters.get("realm") ?? "";
  const realm = URL.canParse(text) ? new URL(text) : undefined;
  const service = parameters.get("service");
  if (realm === undefined || realm.username !== "" || realm.password !== "") {
    throw authFailed(`${registry.host} names no usable token server.`);
  }
  const isPlainAllowed =
    registry.protocol === "http:" &&
    (realm.hostname === registry.hostname || isLoopback(realm.hostname));
  if (realm.protocol !== "https:" && !(realm.protocol === "http:" && isPlainAllowed)) {
    throw authFailed(`${registry.host} wants credentials sent to ${realm.host} without TLS.`);
  }
  return { realm, ...(service !== undefined && { service }) };
}

/**
 * Fetches a token. A refresh token goes by OAuth 2 POST; a password by GET with HTTP Basic, and by POST to a server that
 * has no GET.
 *
 * @throws {LongshoreError} `REGISTRY_AUTH_FAILED`, and `IMAGE_PULL_FAILED` for what may work another time
 */
export async function fetchToken(context: HttpContext, request: TokenRequest): Promise<Token> {
  const { credentials } = request;
  if (credentials?.kind === "identity-token") return postToken(context, request);
  return (await getToken(context, request)) ?? postToken(context, request);
}

/** Undefined: the server knows no GET, and there is a password to try with POST. */
async function getToken(context: HttpContext, request: TokenRequest): Promise<Token | undefined> {
  const { server, scope, credentials } = request;
  const url = new URL(server.realm);
  if (server.service !== undefined) url.searchParams.set("service", server.service);
  for (const part of scope.split(" ")) url.searchParams.append("scope", part);
  const isPassword = credentials?.kind === "password";
  if (isPassword) url.searchParams.set("account", credentials.username);
  const authorization = isPassword
    ? basicAuthorization(credentials.username, credentials.password)
    : undefined;
  const signal = documentSignal(context.settings);
  const answer = await exchange(context, { method: "GET", url, authorization, signal });
  if (isPassword && (answer.status === 404 || answer.status === 405)) {
    discard(answer);
    return undefined;
  }
  return readToken(server, answer);
}

async function postToken(context: HttpContext, request: TokenRequest): Promise<Token> {
  const { server, scope, credentials } = request;
  const form = new URLSearchParams({ client_id: clientId, scope });
  if (server.service !== undefined) form.set("service", server.service);
  if (credentials?.kind === "identity-token") {
    form.set("grant_type", "refresh_token");
    form.set("refresh_token", credentials.token);
  } else if (credentials?.kind === "password") {
    form.set("grant_type", "password");
    form.set("username", credentials.username);
    form.set("password", credentials.password);
  }
  const body = Buffer.from(form.toString());
  const answer = await exchange(context, {
    method: "POST",
    url: server.realm,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: () => body,
    signal: documentSignal(context.settings),
  });
  return readToken(server, answer);
}

async function readToken(
  server: TokenServer,
  answer: Awaited<ReturnType<typeof exchange>>,
): Promise<Token> {
  const { host } = server.realm;
  if (answer.status !== 200) {
    const isRefusal = answer.status >= 400 && answer.status < 500 && answer.status !== 429;
    if (!isRefusal) throw await answerError(answer, `a token of ${host}`);
    discard(answer);
    throw authFailed(`${host} refuses the credentials it got (${answer.status}).`);
  }
  const tooLarge = (): Error => authFailed(`${host} answers with something that is no token.`);
  const bytes = await readAll(answer.body, maxAnswerBytes, tooLarge);
  const parsed = answerSchema.safeParse(parseBoundedJson(bytes, "token"));
  const value = parsed.data?.token || parsed.data?.access_token || "";
  // What is no header value would make the next request fail in a way nobody understands.
  if (!parsed.success || !/^[\x21-\x7e]+$/.test(value)) throw tooLarge();
  const { expires_in: lifetime, refresh_token: refreshToken } = parsed.data;
  return {
    value,
    renewAt: renewalTime(lifetime ?? defaultLifetimeSeconds),
    ...(refreshToken && { refreshToken }),
  };
}

function renewalTime(lifetimeSeconds: number): number {
  const seconds = lifetimeSeconds > 0 ? lifetimeSeconds : defaultLifetimeSeconds;
  const lifetimeMs = Math.min(seconds, maxLifetimeSeconds) * 1_000;
  return Date.now() + lifetimeMs - Math.min(maxMarginMs, lifetimeMs / 4);
}
