import type { Duplex } from "node:stream";
import { STATUS_CODES, type ServerResponse } from "node:http";
import type { EgressDenialReason } from "./decision-events.ts";

/** What a sandbox is told instead of an answer. */
export interface Denial {
  readonly status: number;
  /** Absent for what is no decision of ours, e.g. an unreachable server */
  readonly reason?: EgressDenialReason | undefined;
  readonly message: string;
}

/** Tells clients why, beside the text. */
const reasonHeader = "x-longshore-egress";

export function denialFor(reason: EgressDenialReason, host: string, port: number): Denial {
  const place = `${host}:${port}`;
  switch (reason) {
    case "rule":
      return { status: 403, reason, message: `${place} is not on this sandbox's allow-list` };
    case "address":
      return { status: 403, reason, message: `${place} is not on the public internet` };
    case "placeholder":
      return {
        status: 403,
        reason,
        message: `a secret that is not meant for ${place} was sent to it`,
      };
    case "server-name":
      return { status: 421, reason, message: `the request names another host than ${place}` };
    case "protocol":
      return { status: 400, reason, message: `this protocol is not spoken to ${place}` };
    case "malformed":
      return { status: 400, reason, message: "the request cannot be read" };
    case "limit":
      return { status: 429, reason, message: "this sandbox has too many connections or requests" };
    default:
      return reason satisfies never;
  }
}

export function writeDenial(response: ServerResponse, denial: Denial): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // What remains of the request's body is not worth reading.
  response.writeHead(denial.status, [...headersOf(denial), "connection", "close"]);
  response.end(bodyOf(denial));
}

/** On a connection without a response object: after CONNECT, an upgrade, or a parser's error. */
export function writeRawDenial(socket: Duplex, denial: Denial): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const headers = [...headersOf(denial), "connection", "close"];
  const text = `HTTP/1.1 ${denial.status} ${STATUS_CODES[denial.status] ?? "Refused"}\r\n`;
  socket.end(`${text}${headerLines(headers)}\r\n${bodyOf(denial)}`);
  // The other side may hold its end open for ever.
  socket.once("finish", () => socket.destroy());
}

/** Names and values, one after the other, as lines. */
export function headerLines(headers: readonly string[]): string {
  let text = "";
  for (let index = 0; index < headers.length; index += 2) {
    text += `${headers[index] ?? ""}: ${headers[index + 1] ?? ""}\r\n`;
  }
  return text;
}

function headersOf(denial: Denial): string[] {
  const length = String(Buffer.byteLength(bodyOf(denial)));
  const headers = ["content-type", "text/plain; charset=utf-8", "content-length", length];
  return denial.reason === undefined ? headers : [...headers, reasonHeader, denial.reason];
}

function bodyOf({ message }: Denial): string {
  return `Longshore egress proxy: ${message}.\n`;
}
