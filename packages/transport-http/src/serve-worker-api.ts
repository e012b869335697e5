import { silentLogger, type JobEventLog } from "@longshore/core";
import { eventLogOf, type WorkerApiContext } from "./api-context.ts";
import type { ApiRoute } from "./api-route.ts";
import { jobFeeds } from "./jobs/job-feed.ts";
import { adminRoutes } from "./routes/admin.ts";
import { artifactRoutes } from "./routes/artifacts.ts";
import { healthRoutes } from "./routes/health.ts";
import { infoRoutes } from "./routes/info.ts";
import { jobRoutes } from "./routes/job-routes.ts";
import { metricsRoute } from "./routes/metrics.ts";
import { serveRoutes, type ServedRoutes } from "./server/serve-routes.ts";
import { streamSlots } from "./stream-slots.ts";
import { checkDoors, workerApiLimits, type WorkerApiOptions } from "./worker-api-options.ts";

/** A worker's API while it is served. Disposing ends streams, lets other answers finish, and closes. */
export type WorkerApi = ServedRoutes;

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
  const { logger = silentLogger } = options;
  checkDoors(options);
  const log = eventLogOf(options.store);
  const limits = workerApiLimits(options);
  const api = await serveRoutes({
    ...options,
    port: options.port ?? 9_000,
    routes: routesOf(options, limits, log),
    limits,
    title: {
      title: "Worker HTTP API",
      description: "Drives a Longshore worker: submits, follows and ends jobs.",
    },
  });
  logger.info({ url: api.url }, "worker API is served");
  return api;
}

function routesOf(
  options: WorkerApiOptions,
  limits: ReturnType<typeof workerApiLimits>,
  log: JobEventLog,
): readonly ApiRoute[] {
  const { worker, store, metrics, admin = false, logger = silentLogger } = options;
  const context: WorkerApiContext = {
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
  return [
    ...infoRoutes(context),
    ...healthRoutes({ ...context, jobsPath: options.jobsPath ?? process.cwd() }),
    ...(metrics === undefined ? [] : [metricsRoute(worker, metrics)]),
    ...jobRoutes(context),
    ...artifactRoutes(context),
    ...(admin ? adminRoutes(worker, logger) : []),
    ...(options.routes ?? []),
  ];
}
