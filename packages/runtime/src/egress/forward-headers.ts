import type { IncomingMessage } from "node:http";

/** Meant for the next machine only, RFC 9110 §7.6.1; `expect` is answered by the proxy itself. */
const hopByHop = new Set([
  "connection",
  "expect",
  "host",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Headers that go on, names and values one after the other, in the sender's spelling and order. */
export function endToEndHeaders(message: IncomingMessage): readonly string[] {
  const named = (message.headers.connection ?? "").toLowerCase().split(",");
  const dropped = new Set([...hopByHop, ...named.map((name) => name.trim())]);
  // The length frames the message: naming it in Connection must not change what the body is.
  dropped.delete("content-length");
  const headers: string[] = [];
  for (let index = 0; index < message.rawHeaders.length; index += 2) {
    const name = message.rawHeaders[index] ?? "";
    if (dropped.has(name.toLowerCase())) continue;
    headers.push(name, message.rawHeaders[index + 1] ?? "");
  }
  return headers;
}

/** How the body of a request is framed when it goes on. */
export function bodyHeaders(request: IncomingMessage): readonly string[] {
  if (request.headers["content-length"] !== undefined) return [];
  if (request.headers["transfer-encoding"] !== undefined) return ["Transfer-Encoding", "chunked"];
  const usuallyHasBody = ["POST", "PUT", "PATCH"].includes(request.method ?? "");
  return usuallyHasBody ? ["Content-Length", "0"] : [];
}

/** `host` or `host:port`, as a Host header says it. */
export function hostHeader(host: string, port: number, isSecure: boolean): string {
  const name = host.includes(":") ? `[${host}]` : host;
  return port === (isSecure ? 443 : 80) ? name : `${name}:${port}`;
}
