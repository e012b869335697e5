import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { LongshoreError } from "@longshore/core";
import { request } from "undici";
import type { FetchRange } from "../../src/lazy/fetch-range.ts";

/** What a server does in place of answering properly. */
export type Fault =
  /** Half of the bytes, then the connection breaks */
  | "reset"
  /** All of the blob with status 200 */
  | "whole"
  /** The right number of wrong bytes */
  | "wrong"
  /** One byte in the middle is wrong */
  | "flip"
  /** Half of the bytes, then nothing */
  | "stall"
  | "unavailable"
  | "missing"
  /** Fewer bytes than asked for, and a proper end */
  | "short"
  /** More bytes than asked for */
  | "long";

interface ServedRange {
  readonly offset: number;
  readonly length: number;
}

/** Serves the bytes of blobs over HTTP on a loopback port. */
export interface RangeServer extends AsyncDisposable {
  /** What was asked for, in order */
  readonly requests: ServedRange[];
  /** Faults of the next requests, in order; `undefined` for a proper answer */
  readonly faults: (Fault | undefined)[];
  /** Fetches from this server, and believes all it says. */
  readonly fetchRange: FetchRange;
  readonly url: string;
  /** Holds answers back until it is set to `undefined` and its promise is resolved */
  gate: Promise<void> | undefined;
  /** Stops listening and breaks all connections. */
  kill(): Promise<void>;
}

export async function startRangeServer(stored: Buffer): Promise<RangeServer> {
  const requests: ServedRange[] = [];
  const faults: (Fault | undefined)[] = [];

  async function answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(incoming.headers.range ?? "") ?? [];
    const offset = Number(from);
    const length = Number(to) - offset + 1;
    requests.push({ offset, length });
    const fault = faults.shift();
    await server.gate;
    const bytes = stored.subarray(offset, offset + length);
    const half = bytes.subarray(0, Math.floor(length / 2));
    response.setHeader("content-type", "application/octet-stream");
    response.statusCode = 206;
    switch (fault) {
      case undefined:
        response.end(bytes);
        return;
      case "reset":
        response.setHeader("content-length", length);
        response.write(half, () => response.destroy());
        return;
      case "whole":
        response.statusCode = 200;
        response.end(stored);
        return;
      case "wrong":
        response.end(Buffer.alloc(length, 0x5a));
        return;
      case "flip": {
        const flipped = Buffer.from(bytes);
        flipped[half.length] = (flipped[half.length] ?? 0) ^ 1;
        response.end(flipped);
        return;
      }
      case "stall":
        response.setHeader("content-length", length);
        response.write(half);
        return;
      case "unavailable":
        response.statusCode = 503;
        response.end("later");
        return;
      case "missing":
        response.statusCode = 404;
        response.end("never");
        return;
      case "short":
        response.end(half);
        return;
      case "long":
        response.end(Buffer.concat([bytes, Buffer.alloc(100_000, 1)]));
        return;
      default:
        fault satisfies never;
    }
  }

  const http = createServer((incoming, response) => void answer(incoming, response));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/`;
  const server: RangeServer = {
    requests,
    faults,
    url,
    gate: undefined,
    fetchRange: httpRanges(url),
    async kill() {
      if (!http.listening) return;
      const closed = once(http, "close");
      http.close();
      http.closeAllConnections();
      await closed;
    },
    [Symbol.asyncDispose]() {
      return server.kill();
    },
  };
  return server;
}

/** A plain HTTP client: no retries, no checks. */
export function httpRanges(url: string): FetchRange {
  return async function* fetchRange({ offset, length }, { signal }) {
    const headers = { range: `bytes=${offset}-${offset + length - 1}` };
    const { statusCode, body } = await request(url, { headers, signal });
    if (statusCode >= 400) {
      await body.dump();
      throw new LongshoreError("IMAGE_PULL_FAILED", `HTTP ${statusCode}`, {
        retryable: statusCode >= 500,
      });
    }
    for await (const bytes of body) yield bytes as Buffer;
  };
}
