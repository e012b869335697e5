import { randomUUID } from "node:crypto";
import type { Duplex } from "node:stream";
import { errorFields } from "./error-answer.ts";
import { HttpError } from "../http-error.ts";

const reasons: Readonly<
  Record<string, readonly [status: number, phrase: string, message: string]>
> = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large", "The headers are too large."],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, "Payload Too Large", "The body's chunks are odd."],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout", "The request took too long to come."],
};

/** Answers what is no request of HTTP, like every other error, and closes the connection. */
export function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  // Of a connection that is gone, or has an answer under way, nothing can be told any more.
  if (error.code === "ECONNRESET" || !socket.writable || wasAnswered(socket)) {
    socket.destroy();
    return;
  }
  const [status, phrase, message] = reasons[error.code ?? ""] ?? [
    400,
    "Bad Request",
    "This is no request of HTTP/1.1.",
  ];
  const requestId = randomUUID();
  const refusal = new HttpError("INVALID_BODY", message, { status });
  const body = JSON.stringify(errorFields(refusal, requestId));
  socket.end(
    [
      `HTTP/1.1 ${status} ${phrase}`,
      "content-type: application/json; charset=utf-8",
      `content-length: ${Buffer.byteLength(body)}`,
      `x-request-id: ${requestId}`,
      "x-content-type-options: nosniff",
      "cache-control: no-store",
      "connection: close",
      "",
      body,
    ].join("\r\n"),
  );
}

/** Whether Node is writing an answer to an earlier request of the connection. */
function wasAnswered(socket: Duplex): boolean {
  const { _httpMessage: message } = socket as { readonly _httpMessage?: { headersSent?: boolean } };
  return message?.headersSent === true;
}
