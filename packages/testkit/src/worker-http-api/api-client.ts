import { expect } from "vitest";

/** What the suite needs of a worker that is served somewhere. */
export interface WorkerHttpApiTarget {
  /** E.g. `"http://127.0.0.1:9000"` */
  readonly baseUrl: string;
  /** Sent with every request, e.g. `authorization` */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** An answer that was read to its end. */
interface ReadAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; fails the test when it is none */
  readonly json: Readonly<Record<string, unknown>>;
}

interface CallOptions {
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Text as it is; anything else as JSON */
  readonly body?: unknown;
}

/** Asks a worker's API, and checks what every answer must have. */
export interface ApiClient {
  call(method: string, path: string, options?: CallOptions): Promise<ReadAnswer>;
  /** Messages of a stream, until the server ends it or `count` have come. */
  stream(
    path: string,
    options?: CallOptions & { readonly count?: number },
  ): Promise<readonly SseMessage[]>;
}

interface SseMessage {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;
}

export function apiClient({ baseUrl, headers: common = {} }: WorkerHttpApiTarget): ApiClient {
  const root = baseUrl.replace(/\/$/, "");

  function send(method: string, path: string, { headers = {}, body }: CallOptions) {
    const isText = typeof body === "string";
    return fetch(`${root}${path}`, {
      method,
      headers: {
        ...common,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...headers,
      },
      ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(45_000),
    });
  }

  return {
    async call(method, path, options = {}) {
      const response = await send(method, path, options);
      const text = await response.text();
      expect(response.headers.get("x-request-id"), "X-Request-Id").toBeTruthy();
      expect(text, "no stack traces").not.toMatch(/\n\s+at .+:\d+:\d+/);
      return {
        status: response.status,
        headers: response.headers,
        text,
        get json() {
          expect(response.headers.get("content-type")).toMatch(/^application\/json/);
          return JSON.parse(text) as Readonly<Record<string, unknown>>;
        },
      };
    },
    async stream(path, { count = Infinity, ...options } = {}) {
      const response = await send("GET", path, options);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
      const messages: SseMessage[] = [];
      let rest = "";
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const blocks = `${rest}${chunk}`.split("\n\n");
        rest = blocks.pop() ?? "";
        messages.push(...blocks.flatMap((block) => toMessage(block) ?? []));
        if (messages.length >= count) break;
      }
      return messages.slice(0, count);
    },
  };
}

function toMessage(block: string): SseMessage | undefined {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trimStart());
  }
  const data = fields.get("data");
  if (data === undefined) return undefined;
  return {
    event: fields.get("event") ?? "message",
    id: fields.get("id"),
    data: JSON.parse(data) as Readonly<Record<string, unknown>>,
  };
}
