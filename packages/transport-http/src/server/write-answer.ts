import type { ServerResponse } from "node:http";
import type { RequestLife } from "./request-lives.ts";
import type { ApiAnswer, ApiBody } from "../api-route.ts";

export interface WriteOptions {
  /** Whether the client wants no body */
  readonly isHead: boolean;
  readonly life: RequestLife;
  /** How long a reader may take nothing before it is cut off, in milliseconds */
  readonly stallTimeoutMs: number;
}

/**
 * Sends an answer. Parts are asked for only when the ones before have left for the client, so a slow reader costs no
 * memory; one that reads nothing at all is cut off. Never rejects.
 */
export async function writeAnswer(
  outgoing: ServerResponse,
  { status, headers = {}, body }: ApiAnswer,
  options: WriteOptions,
): Promise<void> {
  const { life } = options;
  const hasBody = body !== undefined && !options.isHead && status !== 204 && status !== 304;
  if (body === undefined || isWhole(body)) {
    const length = body === undefined ? 0 : Buffer.byteLength(body);
    // An answer without its body may tell how long that would be.
    const mayTellLength =
      status !== 204 && status !== 304 && headers["content-length"] === undefined;
    outgoing.writeHead(status, {
      ...headers,
      ...(mayTellLength && { "content-length": String(length) }),
    });
    outgoing.end(hasBody && isWhole(body) ? body : undefined);
    return;
  }
  outgoing.writeHead(status, headers);
  if (!hasBody) {
    outgoing.end();
    return;
  }
  outgoing.flushHeaders();
  try {
    for await (const part of body) {
      if (life.signal.aborted) break;
      if (!outgoing.write(part)) await drained(outgoing, options);
    }
    outgoing.end();
  } catch {
    // The status is out: all that can still be told is that the body is not complete.
    outgoing.destroy();
  }
}

function isWhole(body: ApiBody): body is string | Uint8Array {
  return typeof body === "string" || body instanceof Uint8Array;
}

/** Resolves when the reader has taken what was written; rejects when it takes nothing, or is gone. */
function drained(
  outgoing: ServerResponse,
  { life: { signal }, stallTimeoutMs }: WriteOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      outgoing.off("drain", onDrain);
      signal.removeEventListener("abort", onGone);
      settle();
    };
    const onDrain = (): void => {
      end(resolve);
    };
    const onGone = (): void => {
      end(() => {
        reject(new Error("the reader is gone"));
      });
    };
    const timer = setTimeout(onGone, stallTimeoutMs);
    outgoing.once("drain", onDrain);
    signal.addEventListener("abort", onGone, { once: true });
    if (signal.aborted) onGone();
  });
}
