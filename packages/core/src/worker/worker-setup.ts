import type { Capabilities } from "../capability/capabilities.ts";
import type { Taint } from "../capability/matches.ts";
import type { EventBus } from "../events/event-bus.ts";
import type { HandlerRegistry } from "../handler/handler-registry.ts";
import type { AdmissionRules } from "../policy/admission-rules.ts";
import type { SignatureVerifier } from "../policy/job-gate.ts";
import type { Policy } from "../policy/policy.ts";
import type { JobStore } from "../store/job-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { WorkerTelemetry } from "../telemetry/worker-telemetry.ts";
import type { JobTransport } from "../transport/job-transport.ts";
import type { WorkerDefaults } from "./worker-options.ts";

/** Everything a worker is made of, checked and complete. */
export interface WorkerSetup {
  readonly id: string;
  readonly pool: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly taints: readonly Taint[];
  readonly defaults: WorkerDefaults;
  readonly policy: Policy;
  readonly rules: AdmissionRules;
  readonly verifySignature: SignatureVerifier | undefined;
  readonly store: JobStore;
  readonly events: EventBus;
  readonly registry: HandlerRegistry;
  readonly transports: readonly JobTransport[];
  readonly capabilities: Capabilities;
  readonly logger: Logger;
  readonly telemetry: WorkerTelemetry;
  /** Directory of this process's attempts; its neighbours are those of earlier processes */
  readonly workRoot: string;
  readonly artifactsRoot: string;
  /** Policy subject of the process's own user */
  readonly localSubject: string;
  /** Disposes what the caller did not bring */
  disposeOwned(): Promise<void>;
}
