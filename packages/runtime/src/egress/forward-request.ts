import {
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse,
} from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import { pipeline, type Duplex } from "node:stream";
import { ForbiddenAddressError } from "./checked-lookup.ts";
import { denialFor, headerLines, writeDenial, writeRawDenial, type Denial } from "./denial.ts";
import type { EgressSession } from "./egress-session.ts";
import { bodyHeaders, endToEndHeaders, hostHeader } from "./forward-headers.ts";
import { joinSockets } from "./join-sockets.ts";

/** Where a request goes; it was judged already. */
export interface ForwardTarget {
  readonly session: EgressSession;
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
}

/** Sends a request on and streams its answer back. */
export function forwardRequest(
  target: ForwardTarget,
  path: string,
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
): void {
  const upstream = startRequest(target, path, { request, more: bodyHeaders(request) });
  if (!("end" in upstream)) {
    writeDenial(response, upstream);
    return;
  }
  upstream.on("response", (answer) => {
    try {
      response.writeHead(answer.statusCode ?? 502, statusText(answer), [
        ...endToEndHeaders(answer),
      ]);
    } catch {
      // A status or header that Node's parser lets pass but that must not be written.
      upstream.destroy();
      writeDenial(response, unreadable(target));
      return;
    }
    response.flushHeaders();
    pipeline(answer, response, (error) => {
      if (error !== undefined && error !== null) response.destroy();
    });
  });
  upstream.on("close", () => {
    // A server that switches protocols unasked ends so, without an error.
    if (!response.headersSent) writeDenial(response, unreadable(target));
  });
  upstream.on("error", (error) => {
    writeDenial(response, explain(target, error));
  });
  response.on("close", () => upstream.destroy());
  pipeline(request, upstream, (error) => {
    // Its own errors are told above; a client that went away ends it here.
    if (error !== undefined && error !== null) upstream.destroy();
  });
}

/** Sends a WebSocket's opening on and joins the two connections when the server agrees. */
export function forwardUpgrade(
  target: ForwardTarget,
  path: string,
  { request, socket, head }: { request: IncomingMessage; socket: Duplex; head: Buffer },
): void {
  const more = ["Connection", "Upgrade", "Upgrade", "websocket"];
  const upstream = startRequest(target, path, { request, more });
  if (!("end" in upstream)) {
    writeRawDenial(socket, upstream);
    return;
  }
  socket.on("close", () => upstream.destroy());
  const writeHead = (answer: IncomingMessage, extra: readonly string[]): void => {
    const line = `HTTP/1.1 ${answer.statusCode ?? 502} ${statusText(answer)}\r\n`;
    socket.write(`${line}${headerLines([...endToEndHeaders(answer), ...extra])}\r\n`, "latin1");
  };
  upstream.on("upgrade", (answer, server, rest) => {
    target.session.own(server, "server");
    server.setTimeout(target.session.limits.idleTimeoutMs, () => server.destroy());
    writeHead(answer, more);
    if (rest.length > 0) server.unshift(rest);
    if (head.length > 0) socket.unshift(head);
    joinSockets(socket, server);
  });
  upstream.on("response", (answer) => {
    writeHead(answer, ["Connection", "close"]);
    pipeline(answer, socket, () => socket.destroy());
  });
  upstream.on("error", (error) => writeRawDenial(socket, explain(target, error)));
  upstream.end();
}

/** The request to the server, or why there is none. */
function startRequest(
  target: ForwardTarget,
  path: string,
  { request, more }: { readonly request: IncomingMessage; readonly more: readonly string[] },
): ClientRequest | Denial {
  const { session, host, port, isSecure } = target;
  const deny = (denial: Denial): Denial => {
    session.events.tell({ host, port, reason: denial.reason });
    request.resume();
    return denial;
  };
  // TRACE would send the headers back, secrets and all.
  if (request.method === "TRACE") return deny(denialFor("protocol", host, port));
  const headers = session.swap.swap(target, endToEndHeaders(request));
  if (headers === undefined || !session.swap.allows(target, path)) {
    return deny(denialFor("placeholder", host, port));
  }
  const options: RequestOptions = {
    host,
    port,
    path,
    method: request.method ?? "GET",
    headers: ["Host", hostHeader(host, port, isSecure), ...headers, ...more],
    lookup: session.lookup,
    maxHeaderSize: session.limits.maxHeaderBytes,
    timeout: session.limits.idleTimeoutMs,
    agent: isSecure ? session.httpsAgent : session.httpAgent,
  };
  const upstream = isSecure
    ? httpsRequest({ ...options, servername: isIP(host) === 0 ? host : "" })
    : httpRequest(options);
  upstream.on("timeout", () => upstream.destroy(new Error("nothing came for too long")));
  return upstream;
}

/** The server's words for its status, of printable characters. */
function statusText({ statusMessage = "" }: IncomingMessage): string {
  return statusMessage.replaceAll(/[^\t\x20-\x7e]/g, "?");
}

function unreadable({ host, port }: ForwardTarget): Denial {
  return { status: 502, message: `the answer of ${host}:${port} cannot be read` };
}

/** What a failed request is told as. Tells the decision too when it was one. */
function explain({ session, host, port }: ForwardTarget, error: Error): Denial {
  if (error instanceof ForbiddenAddressError) {
    session.events.tell({ host, port, reason: "address" });
    return denialFor("address", host, port);
  }
  const code = "code" in error && typeof error.code === "string" ? error.code : "error";
  return { status: 502, message: `${host}:${port} cannot be reached (${code})` };
}
