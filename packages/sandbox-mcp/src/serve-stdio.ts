import type { Readable, Writable } from "node:stream";
import type { Abortable } from "@longshore/core";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import type { SandboxMcpServer } from "./sandbox-mcp-server.ts";

export interface ServeStdioOptions extends Abortable {
  /** @default process.stdin */
  readonly input?: Readable | undefined;
  /** Takes protocol messages and nothing else. @default process.stdout */
  readonly output?: Writable | undefined;
  /** Bytes of one message. @default 10_485_760 */
  readonly maxMessageBytes?: number | undefined;
}

/**
 * Serves one client over a pair of streams, the program's own by default. Resolves when the client has left, by ending
 * the input or by no longer reading, or when the signal says so; calls that run then are ended.
 */
export async function serveStdio(
  server: SandboxMcpServer,
  options: ServeStdioOptions = {},
): Promise<void> {
  const { input = process.stdin, output = process.stdout, maxMessageBytes, signal } = options;
  signal?.throwIfAborted();
  const transport = new StdioServerTransport(
    input,
    output,
    maxMessageBytes === undefined ? {} : { maxBufferSize: maxMessageBytes },
  );
  const closed = new Promise<void>((resolve) => {
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK has no other way to hear of it
    transport.onclose = resolve;
  });
  const close = (): void => {
    server.close().catch(() => undefined); // it is closed already
  };
  // The transport itself does not look for the end of its streams.
  for (const event of ["end", "close"] as const) input.once(event, close);
  // Stays: a message that is still on its way must not end the program when the client has gone.
  output.on("error", close);
  signal?.addEventListener("abort", close, { once: true });
  try {
    await server.connect(transport);
    await closed;
  } finally {
    signal?.removeEventListener("abort", close);
    for (const event of ["end", "close"] as const) input.off(event, close);
  }
}
