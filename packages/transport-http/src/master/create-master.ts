import { memoryEventBus, type EventBus } from "@longshore/core";
import { eventLogOf, type ApiContext } from "../api-context.ts";
import { jobFeeds } from "../jobs/job-feed.ts";
import { jobRoutes } from "../routes/job-routes.ts";
import { serveRoutes } from "../server/serve-routes.ts";
import { streamSlots } from "../stream-slots.ts";
import { checkDoors } from "../worker-api-options.ts";
import { clientView } from "./client-view.ts";
import { leaseRoutes } from "./lease-routes.ts";
import { openMasterJobs, type MasterJobs } from "./master-jobs.ts";
import { masterSettings, type MasterOptions } from "./master-options.ts";
import { masterRoutes } from "./master-routes.ts";
import { masterSchemas } from "./master-schemas.ts";
import { workerRoutes } from "./worker-routes.ts";

/**
 * A master while it is served. Disposing ends polls and streams, and closes; its jobs stay in the store, and their leases
 * with the workers.
 */
export interface Master extends AsyncDisposable {
  /** Where clients and workers reach it, e.g. `"http://127.0.0.1:9100"` */
  readonly url: string;
  /** Every step of every job as `job.{id}.{state|progress|log|artifact}` */
  readonly events: EventBus;
}

const pruneEveryMs = 60_000;

/**
 * Serves a master: clients submit jobs as they would to a worker, and workers poll for them. Jobs, their state and their
 * results are in the store before anybody is told; who polls is all that the master itself remembers. One master at a time
 * uses a store.
 *
 * ```ts
 * await using store = sqliteJobStore({ path: "jobs.db", keepEvents: true });
 * await using master = await createMaster({ store, policy, port: 9100 });
 * ```
 *
 * @throws {LongshoreError} `CONFIG_ERROR` for doors that would stand open and for a store without events, `IO_ERROR`
 *   when the address cannot be had, or the store fails
 * @throws {RangeError} for a limit that makes no sense
 */
export async function createMaster(options: MasterOptions): Promise<Master> {
  checkDoors(options);
  const settings = masterSettings(options);
  const { id, logger, limits, maxResultBytes, port, resultRetentionMs } = settings;
  const { store } = options;
  const log = eventLogOf(store);
  const bus = memoryEventBus({
    onListenerError: (error) => {
      logger.error({ err: error }, "event listener failed");
    },
  });
  const jobs = await openMasterJobs({ options, settings, log, bus }).catch(
    async (error: unknown) => {
      await bus[Symbol.asyncDispose]();
      throw error;
    },
  );
  const view = clientView(store);
  const context: ApiContext = {
    worker: jobs.desk,
    store: view,
    log,
    feeds: jobFeeds({ store: view, log, bus, quietMs: limits.heartbeatMs }),
    slots: streamSlots(limits),
    artifactsDir: undefined,
    maxBodyBytes: limits.maxBodyBytes,
    heartbeatMs: limits.heartbeatMs,
  };
  try {
    const served = await serveRoutes({
      ...options,
      host: options.host,
      port,
      limits,
      routes: [
        ...jobRoutes(context),
        ...masterRoutes({ id, store, jobs }),
        ...workerRoutes({ ...jobs, maxResultBytes }),
        ...leaseRoutes({ ...jobs, maxResultBytes }),
      ],
      title: {
        title: "Polling protocol",
        description: "Takes jobs from clients and leases them to workers that poll.",
        schemas: masterSchemas(),
      },
    });
    const pruning = setInterval(() => {
      store.prune({ finishedBeforeMs: Date.now() - resultRetentionMs }).catch((error: unknown) => {
        logger.error({ err: error }, "no pruning");
      });
    }, pruneEveryMs).unref();
    logger.info({ url: served.url, jobs: jobs.book.size }, "master is served");
    let closed: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      clearInterval(pruning);
      await served[Symbol.asyncDispose]();
      await closeJobs(jobs, bus);
    };
    return {
      url: served.url,
      events: bus,
      [Symbol.asyncDispose]: () => (closed ??= close()),
    };
  } catch (error) {
    await closeJobs(jobs, bus);
    throw error;
  }
}

async function closeJobs(jobs: MasterJobs, bus: EventBus): Promise<void> {
  await jobs[Symbol.asyncDispose]();
  await bus[Symbol.asyncDispose]();
}
