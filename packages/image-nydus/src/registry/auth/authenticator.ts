import type { Abortable } from "@longshore/core";
import { waitFor } from "../abort.ts";
import type { HttpContext } from "../client/http-exchange.ts";
import { withRetries } from "../client/retry.ts";
import { authFailed } from "../registry-errors.ts";
import { parseChallenges, type Challenge } from "./challenge.ts";
import { basicAuthorization, type Credentials } from "./credentials.ts";
import { fetchToken, readTokenServer, type Token, type TokenServer } from "./token-request.ts";

/** What a request was refused with. */
interface Refusal {
  /** `WWW-Authenticate` headers */
  readonly header: string | readonly string[] | undefined;
  readonly scope: string;
  /** Authorization header that was sent */
  readonly used: string | undefined;
}

/** Logs in to one registry with one set of credentials. */
export interface Authenticator {
  /** Value of the Authorization header for a scope, as far as the registry has asked for one. */
  authorize(scope: string, options?: Abortable): Promise<string | undefined>;
  /**
   * Learns from a 401. Afterwards {@link authorize} gives something else than what was refused.
   *
   * @throws {LongshoreError} `REGISTRY_AUTH_FAILED` when there is nothing else to give
   */
  handleRefusal(refusal: Refusal): void;
}

export interface AuthenticatorOptions {
  readonly context: HttpContext;
  /** Root of the registry's API */
  readonly registry: URL;
  /** Asked anew for each token */
  readonly findCredentials: (options: Abortable) => Promise<Credentials | undefined>;
}

type Mode =
  | { readonly kind: "unknown" }
  | { readonly kind: "basic" }
  | { readonly kind: "bearer"; readonly server: TokenServer };

const maxTokens = 256;

/** Tokens are kept per scope, renewed before they end, and fetched once however many wait for one. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { context, registry, findCredentials } = options;
  const tokens = new Map<string, Promise<Token>>();
  /** The header that was last given out for a scope, to see whether a refusal is of an older one */
  const given = new Map<string, string>();
  /** Scopes that a registry named in its challenge beyond those that were asked for */
  const widerScopes = new Map<string, string>();
  let mode: Mode = { kind: "unknown" };
  let basicHeader: Promise<string> | undefined;
  /** Given by a token server in exchange for the identity token we know */
  let refreshed: { readonly from: string; readonly token: string } | undefined;

  async function loadBasic(): Promise<string> {
    const credentials = await findCredentials({});
    if (credentials?.kind === "password") {
      return basicAuthorization(credentials.username, credentials.password);
    }
    throw authFailed(`${registry.host} asks for a user and a password; none are known for it.`);
  }

  async function loadToken(server: TokenServer, scope: string): Promise<Token> {
    const found = await findCredentials({});
    if (found?.kind === "registry-token") {
      return { value: found.token, renewAt: Number.POSITIVE_INFINITY };
    }
    const isRenewed = found?.kind === "identity-token" && refreshed?.from === found.token;
    const credentials: Credentials | undefined =
      isRenewed && refreshed ? { kind: "identity-token", token: refreshed.token } : found;
    const request = { server, credentials, scope: widerScopes.get(scope) ?? scope };
    const token = await withRetries(() => fetchToken(context, request), context.settings).catch(
      (error: unknown) => {
        // Next time with the token that the credentials hold.
        refreshed = undefined;
        throw error;
      },
    );
    if (found?.kind === "identity-token" && token.refreshToken !== undefined) {
      refreshed = { from: found.token, token: token.refreshToken };
    }
    return token;
  }

  function requestToken(server: TokenServer, scope: string): Promise<Token> {
    const work = loadToken(server, scope);
    if (tokens.size >= maxTokens) tokens.clear();
    tokens.set(scope, work);
    work.catch(() => {
      if (tokens.get(scope) === work) tokens.delete(scope);
    });
    return work;
  }

  async function bearer(server: TokenServer, scope: string, signal?: AbortSignal): Promise<string> {
    const known = tokens.get(scope);
    const work = known ?? requestToken(server, scope);
    const token = await waitFor(work, signal);
    if (token.renewAt > Date.now() || known === undefined) return `Bearer ${token.value}`;
    // Of all who find it too old, the first one fetches the next.
    const newer = tokens.get(scope);
    const next = newer === known || newer === undefined ? requestToken(server, scope) : newer;
    return `Bearer ${(await waitFor(next, signal)).value}`;
  }

  async function currentHeader(scope: string, signal?: AbortSignal): Promise<string | undefined> {
    switch (mode.kind) {
      case "unknown":
        return undefined;
      case "basic":
        basicHeader ??= loadBasic();
        basicHeader.catch(() => {
          basicHeader = undefined;
        });
        return waitFor(basicHeader, signal);
      case "bearer":
        return bearer(mode.server, scope, signal);
      default:
        return mode satisfies never;
    }
  }

  return {
    async authorize(scope, { signal } = {}) {
      const header = await currentHeader(scope, signal);
      if (given.size >= maxTokens) given.clear();
      if (header !== undefined) given.set(scope, header);
      return header;
    },
    handleRefusal({ header, scope, used }) {
      if (used !== undefined && given.get(scope) === used) {
        // It is no longer good; a helper may know something newer.
        tokens.delete(scope);
        basicHeader = undefined;
      }
      const challenge = chooseChallenge(parseChallenges(header));
      if (challenge?.scheme === "bearer") {
        mode = { kind: "bearer", server: readTokenServer(challenge.parameters, registry) };
        const wider = joinScopes(scope, challenge.parameters.get("scope"));
        if (widerScopes.size >= maxTokens) widerScopes.clear();
        if (wider !== scope) widerScopes.set(scope, wider);
      } else if (challenge?.scheme === "basic") {
        mode = { kind: "basic" };
      } else if (used === undefined) {
        throw authFailed(`${registry.host} asks for a login, but not for one that is known here.`);
      } else {
        // Some registries say how to log in only to those who do not try.
        mode = { kind: "unknown" };
      }
    },
  };
}

function chooseChallenge(challenges: readonly Challenge[]): Challenge | undefined {
  return (
    challenges.find(({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm")) ??
    challenges.find(({ scheme }) => scheme === "basic")
  );
}

function joinScopes(scope: string, asked: string | undefined): string {
  const parts = (asked ?? "").split(/\s+/).filter((part) => /^[\x21-\x7e]{1,512}$/.test(part));
  return [...new Set([...scope.split(" "), ...parts.slice(0, 16)])].join(" ");
}
