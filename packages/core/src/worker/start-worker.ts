import { tmpdir, userInfo } from "node:os";
import { join, resolve } from "node:path";
import { ulid } from "ulid";
import { basicCapabilities } from "../capability/basic-capabilities.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import { memoryEventBus } from "../events/memory-event-bus.ts";
import { handlerRegistry, type HandlerRegistry } from "../handler/handler-registry.ts";
import { isJobId } from "../job/job-id.ts";
import type { TransportFactory } from "../plugin/plugin.ts";
import { setupPlugins } from "../plugin/setup-plugins.ts";
import { admissionRules } from "../policy/admission-rules.ts";
import { memoryJobStore } from "../store/memory-job-store.ts";
import { silentLogger, type Logger } from "../telemetry/logger.ts";
import { workerTelemetry } from "../telemetry/worker-telemetry.ts";
import { createLiveWorker } from "./live-worker.ts";
import { openTransports } from "./open-transports.ts";
import { workerDefaults, type WorkerOptions } from "./worker-options.ts";
import { removeEmptyDirs } from "./work-dirs.ts";
import type { Worker } from "./worker.ts";

/**
 * Starts a worker: recovers what an earlier process left, sets up the handlers, opens the transports.
 *
 * Resolves when it takes jobs. A start that rejects, or is aborted, leaves nothing running and no file held.
 *
 * ```ts
 * await using worker = await startWorker({ policy: allowAllPolicy(), handlers: [echoHandler] });
 * const job = await worker.submit({ operation: "system.echo", data: { message: "hello" } });
 * const { data } = await job.result();
 * ```
 *
 * @throws {RangeError} for an option that makes no sense
 * @throws {LongshoreError} `DUPLICATE_HANDLER`, `PLUGIN_INVALID`, `WORKER_ID_IN_USE`, `CONFIG_ERROR`,
 *   `TRANSPORT_ERROR`, `IO_ERROR`
 */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const { signal, logger = silentLogger, labels = {}, pool = "default" } = options;
  signal?.throwIfAborted();
  const defaults = workerDefaults(options);
  const instance = ulid();
  const id = options.id ?? `worker-${instance}`;
  if (!isJobId(id))
    throw new RangeError(`worker id "${id}" is not made of letters, digits and ._-`);

  const registry = handlerRegistry();
  for (const handler of options.handlers ?? []) registry.register(handler);
  const factories = await setUpPlugins(options, registry, logger);
  const workDir = resolve(options.workDir ?? join(tmpdir(), `longshore-${instance}`));
  const store = options.store ?? memoryJobStore();
  const events = options.events ?? memoryEventBus();
  const transports = await openTransports(options.transports ?? [], factories, { signal });

  const live = createLiveWorker({
    id,
    pool,
    labels,
    taints: options.taints ?? [],
    defaults,
    policy: options.policy,
    rules: admissionRules(options.admission),
    verifySignature: options.verifySignature,
    store,
    events,
    registry,
    transports,
    capabilities: options.capabilities ?? basicCapabilities(registry, defaults.maxConcurrentJobs),
    logger,
    telemetry: options.telemetry ?? workerTelemetry(),
    workRoot: join(workDir, id, instance),
    artifactsRoot: resolve(options.artifactsDir ?? join(workDir, "artifacts")),
    localSubject: localSubject(),
    disposeOwned: async () => {
      if (options.store === undefined) await store[Symbol.asyncDispose]();
      if (options.events === undefined) await events[Symbol.asyncDispose]();
      // Artifacts stay.
      if (options.workDir === undefined) await removeEmptyDirs(workDir);
    },
  });
  try {
    await live.start(signal);
  } catch (error) {
    logger.error({ err: error, workerId: id }, "worker did not start");
    await live.worker.stop({ timeoutMs: 0 });
    throw error;
  }
  return live.worker;
}

async function setUpPlugins(
  options: WorkerOptions,
  registry: HandlerRegistry,
  logger: Logger,
): Promise<ReadonlyMap<string, TransportFactory>> {
  const factories = new Map<string, TransportFactory>();
  await setupPlugins(
    options.plugins ?? [],
    {
      logger,
      registerHandler: (handler, registerOptions) => {
        registry.register(handler, registerOptions);
      },
      registerTransport: (type, factory) => {
        if (typeof type !== "string" || type === "" || typeof factory !== "function") {
          throw new TypeError("a transport needs a type and a factory");
        }
        if (factories.has(type)) {
          throw new LongshoreError("PLUGIN_INVALID", `The transport type "${type}" is taken.`);
        }
        factories.set(type, factory);
      },
    },
    { signal: options.signal },
  );
  return factories;
}

function localSubject(): string {
  try {
    return `local:${userInfo().username}`;
  } catch {
    // A container may run under a user id that has no name.
    return `local:${process.getuid?.() ?? "unknown"}`;
  }
}
