import type { Abortable } from "../abortable.ts";
import type { Capabilities } from "../capability/capabilities.ts";
import type { Taint } from "../capability/matches.ts";
import type { EventBus } from "../events/event-bus.ts";
import { defaultTeardownTimeoutMs } from "../handler/handler-registry.ts";
import type { Handler } from "../handler/handler.ts";
import type { Plugin } from "../plugin/plugin.ts";
import type { AdmissionOverrides } from "../policy/admission-rules.ts";
import type { SignatureVerifier } from "../policy/job-gate.ts";
import type { Policy } from "../policy/policy.ts";
import type { JobStore } from "../store/job-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { WorkerTelemetry } from "../telemetry/worker-telemetry.ts";
import type { JobTransport } from "../transport/job-transport.ts";

/** A transport by the type under which a plugin registered it. */
export interface TransportConfig {
  readonly type: string;
  readonly [option: string]: unknown;
}

export interface WorkerOptions extends Abortable {
  /** Who may submit what; there is no default, so that open doors are a decision */
  readonly policy: Policy;
  /** Unique among the workers that share a store or a transport. @default "worker-" and a ULID */
  readonly id?: string | undefined;
  /** @default "default" */
  readonly pool?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Keep jobs away that do not tolerate them */
  readonly taints?: readonly Taint[] | undefined;
  readonly handlers?: readonly Handler[] | undefined;
  readonly plugins?: readonly Plugin[] | undefined;
  /** Started in this order; the worker owns and closes them */
  readonly transports?: readonly (JobTransport | TransportConfig)[] | undefined;
  /** Stays the caller's to dispose. @default a memory store: nothing survives the process */
  readonly store?: JobStore | undefined;
  /** Stays the caller's to dispose. @default a memory bus */
  readonly events?: EventBus | undefined;
  /** What is let in besides the policy; see `AdmissionRules` for each default */
  readonly admission?: AdmissionOverrides | undefined;
  /** Checks `signature`; needed when the rules require one */
  readonly verifySignature?: SignatureVerifier | undefined;
  /** What this machine can do; `detectCapabilities` finds out. @default the handlers' operations */
  readonly capabilities?: Capabilities | undefined;
  /** @default silence */
  readonly logger?: Logger | undefined;
  /** @default the global OpenTelemetry providers */
  readonly telemetry?: WorkerTelemetry | undefined;
  /** Jobs that run at the same time. @default 4 */
  readonly maxConcurrentJobs?: number | undefined;
  /** Jobs that wait; beyond it submits get `QUEUE_FULL` and transports wait. @default 10_000 */
  readonly maxQueuedJobs?: number | undefined;
  /** Time that running jobs get at `stop` before they are aborted. @default 30_000 */
  readonly shutdownTimeoutMs?: number | undefined;
  /** Time a handler gets to end once it was aborted. @default 5_000 */
  readonly killGraceMs?: number | undefined;
  /**
   * Time each handler gets for its `teardown`, and each transport to pause and to close: what is late is logged by its name, and
   * left. @default 10_000
   */
  readonly teardownTimeoutMs?: number | undefined;
  /** Life of a store lease that is not renewed. @default 60_000 */
  readonly leaseMs?: number | undefined;
  /** How long finished jobs are kept. @default 86_400_000 */
  readonly resultRetentionMs?: number | undefined;
  /** Each attempt's directory is made in here. @default a folder of the system's temporary directory */
  readonly workDir?: string | undefined;
  /** Artifacts stay in here, one folder per job. @default `<workDir>/artifacts` */
  readonly artifactsDir?: string | undefined;
}

/** The options with every default filled in. */
export interface WorkerDefaults {
  readonly maxConcurrentJobs: number;
  readonly maxQueuedJobs: number;
  readonly shutdownTimeoutMs: number;
  readonly killGraceMs: number;
  readonly teardownTimeoutMs: number;
  readonly leaseMs: number;
  readonly resultRetentionMs: number;
}

/** @throws {RangeError} for a number that makes no sense */
export function workerDefaults(options: WorkerOptions): WorkerDefaults {
  const {
    maxConcurrentJobs = 4,
    maxQueuedJobs = 10_000,
    shutdownTimeoutMs = 30_000,
    killGraceMs = 5_000,
    teardownTimeoutMs = defaultTeardownTimeoutMs,
    leaseMs = 60_000,
    resultRetentionMs = 86_400_000,
  } = options;
  const defaults = {
    maxConcurrentJobs,
    maxQueuedJobs,
    shutdownTimeoutMs,
    killGraceMs,
    teardownTimeoutMs,
    leaseMs,
    resultRetentionMs,
  };
  const least: Readonly<Record<string, number>> = {
    maxConcurrentJobs: 1,
    maxQueuedJobs: 1,
    leaseMs: 100,
  };
  for (const [name, value] of Object.entries(defaults)) {
    const minimum = least[name] ?? 0;
    if (!Number.isSafeInteger(value) || value < minimum) {
      throw new RangeError(`${name} must be a whole number of ${minimum} or more, got ${value}`);
    }
  }
  return defaults;
}
