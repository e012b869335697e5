import type { Abortable } from "@longshore/core";
import type { Authenticator } from "../auth/authenticator.ts";
import { authorizedExchange } from "./authorized-exchange.ts";
import type { HttpAnswer, HttpContext, HttpRequest } from "./http-exchange.ts";

/** One repository at one host: that of a reference, or its copy at a mirror. */
export interface Repository {
  /** Host and name, for messages */
  readonly name: string;
  /** Name at that host */
  readonly path: string;
  /** `https://host/v2/library/alpine/` */
  readonly url: URL;
  readonly context: HttpContext;
  /** Sends a request below {@link url}, or to the absolute address that the registry gave for it. */
  send(request: RepositoryRequest): Promise<HttpAnswer>;
}

interface RepositoryRequest
  extends Abortable, Pick<HttpRequest, "method" | "headers" | "body" | "bodyLength"> {
  /** `manifests/latest`, or an address */
  readonly target: string | URL;
  /** @default "pull" */
  readonly access?: "pull" | "pull,push" | undefined;
  /** Another repository that is read on the way */
  readonly alsoPull?: string | undefined;
}

export interface RepositoryOptions {
  readonly context: HttpContext;
  readonly authenticator: Authenticator;
  /** Root of the registry's API */
  readonly registry: URL;
  readonly host: string;
  readonly path: string;
}

export function createRepository(options: RepositoryOptions): Repository {
  const { context, authenticator, registry, host, path } = options;
  const url = new URL(`v2/${path}/`, registry);
  return {
    name: `${host}/${path}`,
    path,
    url,
    context,
    send({ target, access = "pull", alsoPull, ...request }) {
      const scopes = [
        `repository:${path}:${access}`,
        ...(alsoPull === undefined ? [] : [`repository:${alsoPull}:pull`]),
      ];
      const address = typeof target === "string" ? new URL(target, url) : target;
      // Storage elsewhere gets no credentials of the registry.
      const login = address.origin === url.origin ? authenticator : anonymous;
      return authorizedExchange(context, {
        ...request,
        url: address,
        authenticator: login,
        scope: scopes.join(" "),
      });
    },
  };
}

const anonymous: Authenticator = {
  authorize: () => Promise.resolve(undefined),
  handleRefusal: () => {},
};
