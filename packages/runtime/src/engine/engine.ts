import type {
  ContainerEvent,
  ContainerLog,
  EventBus,
  ImageClient,
  Logger,
  RootfsCommitter,
  RootfsProvider,
} from "@longshore/core";
import type { Admission } from "../admission/admission.ts";
import type { ContainerEvents } from "../events/container-events.ts";
import type { SandboxNetwork } from "../network/sandbox-network.ts";
import type { RecordStore } from "../records/record-store.ts";
import type { DriverSet } from "./driver-set.ts";
import type { Registry } from "./registry.ts";
import type { Reservations } from "./reservations.ts";

/** Where containers get their files from. */
export type RuntimeImages = RootfsProvider & Pick<ImageClient, "imageStatus">;

/** What all calls of one engine share. */
export interface Engine {
  readonly registry: Registry;
  readonly reservations: Reservations;
  readonly records: RecordStore;
  readonly drivers: DriverSet;
  readonly images: RuntimeImages;
  readonly network: SandboxNetwork;
  readonly admission: Admission;
  readonly events: ContainerEvents;
  readonly bus: EventBus | undefined;
  readonly logger: Logger;
  /** Annotation that says for whom a sandbox is */
  readonly subjectAnnotation: string;
  /** For every container's log */
  readonly logLimits: Omit<ContainerLog, "path">;
  /** For each driver, to find its sandboxes again */
  readonly recoverTimeoutMs: number;
  readonly committer: RootfsCommitter | undefined;
  /** Aborts when the engine closes, with the error that calls under way get */
  readonly closing: AbortSignal;
  /** From then on nothing is written any more: the directory may be another engine's */
  isClosed(): boolean;
}

/** What has happened; the topic's third part on the bus. */
export type EngineEventType = ContainerEvent["containerEventType"];
