import { createServer, type Server, type ServerOptions } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { LongshoreError, silentLogger, type JobEventLog } from "@longshore/core";
import type { ApiContext } from "./api-context.ts";
import { jsonAnswer, type ApiRoute } from "./api-route.ts";
import { jobFeeds } from "./jobs/job-feed.ts";
import { openApiDocument } from "./openapi.ts";
import { adminRoutes } from "./routes/admin.ts";
import { artifactRoutes } from "./routes/artifacts.ts";
import { cancelRoutes } from "./routes/cancel.ts";
import { eventsRoute } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { infoRoutes } from "./routes/info.ts";
import { getRoute, listRoute, resultRoute } from "./routes/jobs.ts";
import { logsRoute } from "./routes/logs.ts";
import { metricsRoute } from "./routes/metrics.ts";
import { retryRoute } from "./routes/retry.ts";
import { submitBatchRoute } from "./routes/submit-batch.ts";
import { submitRoute } from "./routes/submit.ts";
import { refuseMalformed } from "./server/refuse-malformed.ts";
import { requestHandler } from "./server/request-handler.ts";
import { routeTable } from "./server/route-table.ts";
import { streamSlots } from "./stream-slots.ts";
import { successView } from "./success-view.ts";
import { checkDoors, workerApiLimits, type WorkerApiOptions } from "./worker-api-options.ts";

/** A worker's API while it is served. Disposing ends streams, lets other answers finish, and closes. */
export interface WorkerApi extends AsyncDisposable {
  /** Where it is, e.g. `"http://127.0.0.1:9000"` */
  readonly url: string;
}

const maxHeaderBytes = 16_384;
/** Time that answers under way get when the server closes */
const closeGraceMs = 2_000;

/**
 * Serves a worker over HTTP until it is disposed. The server keeps no state of its own: everything it tells is in the
 * store.
 *
 * ```ts
 * await using store = sqliteJobStore({ path: "jobs.db", keepEvents: true });
 * await using worker = await startWorker({ store, policy, handlers: [echoHandler] });
 * await using api = await serveWorkerApi({ worker, store, policy });
 * ```
 *
 * @throws {LongshoreError} `CONFIG_ERROR` for doors that would stand open and for a store without events, `IO_ERROR`
 *   when the address cannot be had
 * @throws {RangeError} for a limit that makes no sense
 */
export async function serveWorkerApi(options: WorkerApiOptions): Promise<WorkerApi> {
  const { host = "127.0.0.1", port = 9_000, logger = silentLogger, authenticators = [] } = options;
  checkDoors(options);
  const { events: log, name } = options.store;
  if (log === undefined) {
    throw new LongshoreError(
      "CONFIG_ERROR",
      `The store "${name}" keeps no events; make it with keepEvents: true.`,
    );
  }
  const limits = workerApiLimits(options);
  const closing = new AbortController();
  const routes = routesOf(options, limits, log);
  const handle = requestHandler({
    routes: routeTable(routes),
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
  await listen(server, host, port);
  const url = urlOf(server, options.tls !== undefined);
  logger.info({ url }, "worker API is served");
  let closed: Promise<void> | undefined;
  return {
    url,
    [Symbol.asyncDispose]() {
      closed ??= close(server, closing);
      return closed;
    },
  };
}

function routesOf(
  options: WorkerApiOptions,
  limits: ReturnType<typeof workerApiLimits>,
  log: JobEventLog,
): readonly ApiRoute[] {
  const { worker, store, metrics, admin = false, logger = silentLogger } = options;
  const context: ApiContext = {
    worker,
    store,
    log,
    feeds: jobFeeds({ store, log, bus: worker.events, quietMs: limits.heartbeatMs }),
    slots: streamSlots(limits),
    artifactsDir: options.artifactsDir,
    maxBodyBytes: limits.maxBodyBytes,
    heartbeatMs: limits.heartbeatMs,
    startedAt: new Date(),
  };
  const routes: readonly ApiRoute[] = [
    ...infoRoutes(context),
    ...healthRoutes({ ...context, jobsPath: options.jobsPath ?? process.cwd() }),
    ...(metrics === undefined ? [] : [metricsRoute(worker, metrics)]),
    submitRoute(context),
    submitBatchRoute(context),
    listRoute(context),
    getRoute(context),
    resultRoute(context),
    logsRoute(context),
    eventsRoute(context),
    ...artifactRoutes(context),
    ...cancelRoutes(context),
    retryRoute(context),
    ...(admin ? adminRoutes(worker, logger) : []),
    ...(options.routes ?? []),
  ];
  return [...routes, openApiRoute(routes, (options.authenticators ?? []).length === 0)];
}

function openApiRoute(routes: readonly ApiRoute[], isOpen: boolean): ApiRoute {
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
  const answer = jsonAnswer(200, openApiDocument([...routes, route], isOpen));
  return route;
}

function makeServer(
  { tls, authenticators = [] }: WorkerApiOptions,
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

async function close(server: Server, closing: AbortController): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  closing.abort();
  server.closeIdleConnections();
  const timer = setTimeout(() => {
    server.closeAllConnections();
  }, closeGraceMs);
  await closed;
  clearTimeout(timer);
}
