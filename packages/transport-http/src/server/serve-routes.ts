import { createServer, type Server, type ServerOptions } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { LongshoreError, silentLogger } from "@longshore/core";
import { jsonAnswer, type ApiRoute } from "../api-route.ts";
import { openApiDocument, type ApiTitle } from "../openapi.ts";
import { successView } from "../success-view.ts";
import { checkDoors, type workerApiLimits, type WorkerApiOptions } from "../worker-api-options.ts";
import { refuseMalformed } from "./refuse-malformed.ts";
import { requestHandler } from "./request-handler.ts";
import { routeTable } from "./route-table.ts";

/** Routes while they are served. Disposing ends streams, lets other answers finish, and closes. */
export interface ServedRoutes extends AsyncDisposable {
  /** Where they are, e.g. `"http://127.0.0.1:9000"` */
  readonly url: string;
}

export interface ServeRoutesOptions extends Pick<
  WorkerApiOptions,
  | "policy"
  | "host"
  | "authenticators"
  | "allowUnauthenticated"
  | "tls"
  | "corsOrigins"
  | "view"
  | "logger"
> {
  readonly port: number;
  readonly routes: readonly ApiRoute[];
  readonly limits: ReturnType<typeof workerApiLimits>;
  /** What `/openapi.json` calls it */
  readonly title: ApiTitle;
}

const maxHeaderBytes = 16_384;
/** Time that answers under way get when the server closes */
const closeGraceMs = 2_000;

/**
 * Serves routes, and their description at `/openapi.json`.
 *
 * @throws {LongshoreError} `CONFIG_ERROR` for doors that would stand open, `IO_ERROR` when the address cannot be had
 */
export async function serveRoutes(options: ServeRoutesOptions): Promise<ServedRoutes> {
  const { host = "127.0.0.1", logger = silentLogger, authenticators = [], limits, title } = options;
  checkDoors(options);
  const closing = new AbortController();
  const isOpen = authenticators.length === 0;
  const handle = requestHandler({
    routes: routeTable([...options.routes, openApiRoute(options.routes, isOpen, title)]),
    policy: options.policy,
    authenticators,
    origins: options.corsOrigins ?? [],
    maxBodyBytes: limits.maxBodyBytes,
    stallTimeoutMs: limits.stallTimeoutMs,
    view: options.view === "success" ? successView : (answer) => answer,
    logger,
    closing: closing.signal,
  });
  const server = makeServer(options, {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
  });
  server.maxConnections = limits.maxConnections;
  const unused = unusedSockets(
    server,
    options.tls === undefined ? "connection" : "secureConnection",
  );
  server.on("request", (incoming, outgoing) => {
    outgoing.once("finish", () => {
      // Nothing more is read from it.
      if (closing.signal.aborted) incoming.socket.destroySoon();
    });
    handle(incoming, outgoing).catch((error: unknown) => {
      logger.error({ err: error }, "answer could not be sent");
      outgoing.destroy();
    });
  });
  server.on("clientError", refuseMalformed);
  await listen(server, host, options.port);
  const url = urlOf(server, options.tls !== undefined);
  let closed: Promise<void> | undefined;
  return {
    url,
    [Symbol.asyncDispose]() {
      closed ??= close(server, closing, unused);
      return closed;
    },
  };
}

function openApiRoute(routes: readonly ApiRoute[], isOpen: boolean, title: ApiTitle): ApiRoute {
  const route: ApiRoute = {
    method: "GET",
    path: "/openapi.json",
    access: "public",
    description: {
      operationId: "getOpenApi",
      summary: "This description",
      tag: "worker",
      responses: {
        "200": {
          description: "OpenAPI 3.1",
          content: { "application/json": { schema: { type: "object" } } },
        },
        "405": {
          description: "It is only asked",
          content: { "application/json": { schema: "ErrorAnswer" } },
        },
      },
    },
    handle: () => answer,
  };
  const answer = jsonAnswer(200, openApiDocument([...routes, route], isOpen, title));
  return route;
}

function makeServer(
  { tls, authenticators = [] }: ServeRoutesOptions,
  serverOptions: ServerOptions,
): Server {
  if (tls === undefined) return createServer(serverOptions);
  const wantsCertificates = authenticators.some((one) => one.readsCertificates === true);
  return createTlsServer({
    ...serverOptions,
    cert: asText(tls.cert),
    key: asText(tls.key),
    minVersion: "TLSv1.2",
    // Whether a certificate is good is for the authenticator to say, beside others that need none.
    ...(wantsCertificates &&
      tls.clientCa !== undefined && {
        ca: asText(tls.clientCa),
        requestCert: true,
        rejectUnauthorized: false,
      }),
  });
}

function asText(pem: string | Uint8Array): string {
  return typeof pem === "string" ? pem : Buffer.from(pem).toString();
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      reject(
        new LongshoreError(
          "IO_ERROR",
          `The API cannot listen on ${host}:${port}: ${error.message}`,
          {
            cause: error,
          },
        ),
      );
    };
    server.once("error", onError);
    server.listen({ host, port }, () => {
      server.off("error", onError);
      resolve();
    });
  });
}

function urlOf(server: Server, isTls: boolean): string {
  const { address, port, family } = server.address() as AddressInfo;
  const host = family === "IPv6" ? `[${address}]` : address;
  return `${isTls ? "https" : "http"}://${host}:${port}`;
}

/** Connections on which nothing was asked yet. Clients open some ahead, and the server does not count them as idle. */
function unusedSockets(
  server: Server,
  event: "connection" | "secureConnection",
): ReadonlySet<Socket> {
  const unused = new Set<Socket>();
  server.on(event, (socket: Socket) => {
    unused.add(socket);
    socket.once("close", () => unused.delete(socket));
  });
  server.on("request", ({ socket }) => unused.delete(socket));
  return unused;
}

async function close(
  server: Server,
  closing: AbortController,
  unused: ReadonlySet<Socket>,
): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  closing.abort();
  server.closeIdleConnections();
  for (const socket of unused) socket.destroy();
  const timer = setTimeout(() => {
    server.closeAllConnections();
  }, closeGraceMs);
  await closed;
  clearTimeout(timer);
}
