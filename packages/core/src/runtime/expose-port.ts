import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import type { Duplex } from "node:stream";
import type { Abortable } from "../abortable.ts";
import { LongshoreError } from "../errors/longshore-error.ts";

export interface ExposeOptions extends Abortable {
  /** Address to listen on. @default "127.0.0.1" */
  readonly host?: string | undefined;
  /** @default 0 (one that is free) */
  readonly hostPort?: number | undefined;
  /** Connections at one time; more are refused. @default 256 */
  readonly maxConnections?: number | undefined;
}

/** A port of the host that leads into a sandbox. Disposing closes it with its connections. */
export interface ExposedPort extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
}

/**
 * Listens on the host and passes each connection on. One that cannot be passed on is closed at once.
 *
 * @param connect makes the other half of a connection
 * @throws {LongshoreError} `IO_ERROR` when the address cannot be listened on
 */
export async function exposePort(
  connect: (options: Abortable) => Promise<Duplex>,
  options: ExposeOptions = {},
): Promise<ExposedPort> {
  const { host = "127.0.0.1", hostPort = 0, maxConnections = 256, signal } = options;
  signal?.throwIfAborted();
  const end = new AbortController();
  const open = new Set<Promise<void>>();

  const pass = async (socket: Socket): Promise<void> => {
    try {
      const inner = await connect({ signal: end.signal });
      // Each direction ends by itself: half a connection may stay open.
      await Promise.all([
        pipeline(socket, inner, { signal: end.signal, end: true }),
        pipeline(inner, socket, { signal: end.signal, end: true }),
      ]);
    } catch {
      // A connection that breaks is told to its two ends, by its end.
    } finally {
      socket.destroy();
    }
  };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const passing = pass(socket).finally(() => open.delete(passing));
    open.add(passing);
  });
  server.maxConnections = maxConnections;
  server.listen({ host, port: hostPort });
  try {
    await once(server, "listening", { signal });
  } catch (error) {
    server.close();
    signal?.throwIfAborted();
    throw new LongshoreError("IO_ERROR", `${host}:${hostPort} cannot be listened on.`, {
      cause: error,
      details: { host, hostPort },
    });
  }
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new LongshoreError("INTERNAL_ERROR", "The listener has no port.");
  }
  let closing: Promise<void> | undefined;
  return {
    host,
    port: address.port,
    [Symbol.asyncDispose]() {
      closing ??= (async () => {
        const closed = once(server, "close");
        server.close();
        end.abort();
        await closed;
        await Promise.all(open);
      })();
      return closing;
    },
  };
}
