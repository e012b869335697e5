import { join } from "node:path";
import {
  allowAllPolicy,
  auditedPolicy,
  definePlugin,
  denyAllPolicy,
  detectCapabilities,
  echoHandler,
  handlerRegistry,
  jobSignatureVerifier,
  loadConfig,
  loadKeySet,
  loadPlugins,
  LongshoreError,
  memoryEventBus,
  setupPlugins,
  startWorker,
  workerTelemetry,
  type AdmissionOverrides,
  type CapabilityReport,
  type Logger,
  type Plugin,
  type SignatureVerifier,
  type TransportConfig,
  type Worker,
  type WorkerConfig,
} from "@longshore/core";
import { containerOperations } from "@longshore/handler-container";
import { processHandler } from "@longshore/handler-process";
import type { RuntimeProbe } from "@longshore/runtime-oci";
import { sqliteJobStore } from "@longshore/store-sqlite";
import { fileTransport, fileTransportOptions } from "@longshore/transport-file";
import { prometheusMetrics } from "@longshore/transport-http";
import { exitCodes } from "../exit-codes.ts";
import { openTerminal } from "../terminal.ts";
import { openLogger } from "../terminal-logger.ts";
import { containerBackends, probeContainerRuntimes } from "./container/container-backends.ts";
import { pollingPlugin } from "./polling-plugin.ts";
import { readDoors, serveApi } from "./serve-api.ts";
import { wantedTransports, type TransportFlags } from "./wanted-transports.ts";
import { openWorkerContainers, wantsContainers } from "./container/worker-containers.ts";

export interface WorkerFlags extends TransportFlags {
  readonly config?: string;
  readonly home?: string;
  readonly workerId?: string;
  readonly pool?: string;
  readonly resultsDir?: string;
  readonly maxConcurrent?: number;
  readonly http?: string;
  readonly logLevel?: string;
  readonly detectOnly?: boolean;
  readonly json?: boolean;
}

/** Runs a worker until it is told to stop. Returns the exit code. */
export async function runWorker(flags: WorkerFlags): Promise<number> {
  const terminal = openTerminal(flags);
  const { config, warnings, directory } = await loadConfig({
    file: flags.config,
    flags: {
      home: flags.home,
      "worker.id": flags.workerId,
      "worker.pool": flags.pool,
      "worker.results_dir": flags.resultsDir,
      "worker.max_concurrent_jobs": flags.maxConcurrent,
      "api.listen": flags.http,
      log_level: flags.logLevel,
    },
  });
  const logger = openLogger({ isJson: terminal.isJson, level: config.logLevel });
  for (const warning of warnings) logger.warn(warning);
  const verifySignature = await signatureVerifier(config);
  const plugins = [
    builtIns(config, logger),
    ...(await loadPlugins(config.plugins, { from: directory })),
  ];
  const probes = wantsContainers(config) ? await probeContainerRuntimes() : [];
  const report = await detect(config, plugins, { logger, probes });
  for (const warning of report.warnings) logger.warn(warning);
  if (flags.detectOnly === true) {
    if (terminal.isJson) terminal.printJson(report);
    else terminal.print(JSON.stringify(report, null, 2));
    return exitCodes.ok;
  }
  const transports = wantedTransports(config, flags);
  return serve({ config, plugins, report, probes, logger, verifySignature, transports });
}

async function serve(setup: {
  config: WorkerConfig;
  plugins: readonly Plugin[];
  report: CapabilityReport;
  probes: readonly RuntimeProbe[];
  logger: Logger;
  verifySignature: SignatureVerifier | undefined;
  transports: readonly TransportConfig[];
}): Promise<number> {
  const { config, report, probes, logger, verifySignature, transports } = setup;
  const plugins = [...setup.plugins, pollingPlugin(config, report.capabilities, logger)];
  const { worker: settings, policy } = config;
  const doors = await readDoors(config);
  await using store = sqliteJobStore({
    path: join(config.home, "jobs.db"),
    // Who follows a job over HTTP can come back to where it was.
    keepEvents: doors !== undefined,
  });
  await using metrics = doors === undefined ? undefined : prometheusMetrics();
  const meterProvider = metrics?.meterProvider;
  await using events = memoryEventBus({
    onListenerError: (error) => {
      logger.error({ err: error }, "event listener failed");
    },
    meterProvider,
  });
  const starting = new AbortController();
  let worker: Worker | undefined;
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    signals += 1;
    if (signals >= 3) process.exit(exitCodes.interrupted);
    logger.info({ signal }, signals === 1 ? "stopping; once more to stop now" : "stopping now");
    starting.abort(new LongshoreError("SHUTDOWN", `The worker got ${signal} before it was ready.`));
    void worker?.stop(signals === 1 ? {} : { timeoutMs: 0 });
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  try {
    const rule = policy.rule === "allow-all" ? allowAllPolicy() : denyAllPolicy();
    const audited = auditedPolicy(rule, events);
    const admission = admissionOf(config);
    const { signal } = starting;
    await using containers = wantsContainers(config)
      ? await openWorkerContainers(config, {
          probes,
          policy: audited,
          admission,
          logger,
          events,
          signal,
        })
      : undefined;
    worker = await startWorker({
      id: settings.id,
      pool: settings.pool,
      labels: settings.labels,
      taints: settings.taints,
      policy: audited,
      plugins: containers === undefined ? plugins : [...plugins, containers.plugin],
      transports,
      store,
      events,
      admission,
      verifySignature,
      capabilities: report.capabilities,
      logger,
      telemetry: workerTelemetry({ meterProvider }),
      maxConcurrentJobs: settings.maxConcurrentJobs,
      maxQueuedJobs: settings.maxQueuedJobs,
      shutdownTimeoutMs: settings.shutdownTimeoutSeconds * 1_000,
      killGraceMs: settings.killGraceSeconds * 1_000,
      leaseMs: settings.leaseSeconds * 1_000,
      resultRetentionMs: settings.resultRetention * 1_000,
      workDir: settings.workDir ?? join(config.home, "work"),
      artifactsDir: join(settings.resultsDir, "artifacts"),
      signal,
    });
    // Closed first: whoever follows a job comes back to the next process.
    await using _api =
      doors === undefined
        ? undefined
        : await serveApi(doors, config, { worker, store, policy: audited, metrics, logger });
    await stopped(worker);
    return exitCodes.ok;
  } catch (error) {
    if (starting.signal.aborted) return exitCodes.ok;
    throw error;
  } finally {
    process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
  }
}

/** What the configuration lets in. */
function admissionOf({ policy, worker }: WorkerConfig): AdmissionOverrides {
  const { taskTimeoutSeconds } = worker;
  return {
    allowedModes: policy.allowedModes,
    allowedOperations: policy.allowedOperations,
    allowedImages: policy.allowedImages,
    requireSignature: policy.requireSignature,
    defaults: {
      ...(taskTimeoutSeconds !== undefined && { timeoutSeconds: taskTimeoutSeconds }),
      ...policy.defaults,
    },
    max: policy.max,
  };
}

/** Resolves when the worker has stopped. */
async function stopped(worker: Worker): Promise<void> {
  // A worker without transports would let the process end while it waits for its first job.
  const keepAlive = setInterval(() => {}, 2 ** 30);
  try {
    for await (const _event of worker.events.subscribe("node.*.draining")) break;
    await worker.stop();
  } finally {
    clearInterval(keepAlive);
  }
}

/** What the command itself brings, as a plugin like any other. */
function builtIns({ worker, policy }: WorkerConfig, logger: Logger): Plugin {
  return definePlugin({
    name: "longshore",
    setup(host) {
      host.registerHandler(echoHandler);
      host.registerHandler(
        processHandler({
          killGraceMs: worker.killGraceSeconds * 1_000,
          maxStdoutBytes: worker.maxStdoutBytes,
          maxStderrBytes: worker.maxStderrBytes,
          memoryMb: policy.defaults.memoryMb,
          pids: policy.defaults.pids,
        }),
      );
      host.registerTransport("file", (config) =>
        fileTransport({ ...fileTransportOptions(config), logger }),
      );
    },
  });
}

/** Looks at the machine with the operations that the plugins are going to register. */
async function detect(
  { worker }: WorkerConfig,
  plugins: readonly Plugin[],
  { logger, probes }: { readonly logger: Logger; readonly probes: readonly RuntimeProbe[] },
): Promise<CapabilityReport> {
  const registry = handlerRegistry();
  await setupPlugins(plugins, {
    logger,
    registerHandler: (handler, options) => {
      registry.register(handler, options);
    },
    registerTransport: () => {},
  });
  const inContainers = probes.some(({ available }) => available) ? containerOperations : [];
  const report = await detectCapabilities({
    handlers: { operations: () => [...registry.operations(), ...inContainers].toSorted() },
    maxConcurrentJobs: worker.maxConcurrentJobs,
    declared: worker.capabilities,
    trustDeclaredRuntimes: worker.trustDeclaredRuntimes,
  });
  const missing = probes.filter(({ available }) => !available);
  return {
    ...report,
    capabilities: { ...report.capabilities, sandboxBackends: containerBackends(probes) },
    warnings: [
      ...report.warnings,
      ...(inContainers.length === 0
        ? missing.map(({ binary, reason }) => `no containers by ${binary}: ${reason}`)
        : []),
    ],
  };
}

async function signatureVerifier({ policy }: WorkerConfig): Promise<SignatureVerifier | undefined> {
  if (policy.keysFile !== undefined) {
    return jobSignatureVerifier({ keys: await loadKeySet(policy.keysFile) });
  }
  if (!policy.requireSignature) return undefined;
  throw new LongshoreError(
    "CONFIG_ERROR",
    "policy.require_signature needs policy.keys_file: the public keys that may sign jobs.",
  );
}
