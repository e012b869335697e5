import { LongshoreError } from "@longshore/core";
import type { IncomingMessage } from "node:http";

const readOnly: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
const loopbackHost = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;
const loopbackAddress = /^(localhost|(::ffff:)?127(\.\d{1,3}){3}|::1)$/;

/**
 * Keeps the pages of a browser away that were not let in: one of another origin can send simple requests to a worker on
 * the same machine, and by a name of its own that leads there, read answers.
 *
 * @param isOpen whether the worker takes requests without credentials
 * @returns headers for the answer
 * @throws {LongshoreError} `POLICY_DENIED`
 */
export function checkOrigin(
  incoming: IncomingMessage,
  { origins, isOpen }: { readonly origins: readonly string[]; readonly isOpen: boolean },
): Readonly<Record<string, string>> {
  const { origin, host = "" } = incoming.headers;
  if (isOpen && !isLoopbackHost(host) && isLoopback(incoming.socket.localAddress)) {
    throw new LongshoreError("POLICY_DENIED", `The worker does not serve the name "${host}".`);
  }
  if (origin === undefined) return {};
  if (origins.includes(origin)) {
    return {
      "access-control-allow-origin": origin,
      "access-control-expose-headers": "location, retry-after, x-request-id",
      vary: "origin",
    };
  }
  if (readOnly.has(incoming.method ?? "")) return {};
  throw new LongshoreError("POLICY_DENIED", `Pages of ${origin} may not use this worker.`);
}

/** What a browser is told before it sends a request of an origin that is let in. */
export function preflightHeaders(methods: readonly string[]): Readonly<Record<string, string>> {
  return {
    "access-control-allow-methods": methods.join(", "),
    "access-control-allow-headers":
      "authorization, content-type, idempotency-key, last-event-id, if-none-match, range, x-request-id",
    "access-control-max-age": "600",
  };
}

/** Whether a host as it stands in a URL, with or without a port, is this machine. */
export function isLoopbackHost(host: string): boolean {
  return loopbackHost.test(host);
}

/** Whether an address of a socket, or one to listen on, is of this machine alone. */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && loopbackAddress.test(address);
}
