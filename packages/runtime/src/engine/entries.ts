import type {
  DriverContainer,
  DriverSandbox,
  PodSandboxConfig,
  SandboxDriver,
} from "@longshore/core";
import type { Demand } from "../admission/demand.ts";
import type { ContainerRecord } from "../records/container-record.ts";
import type { SandboxRecord } from "../records/sandbox-record.ts";
import type { PendingSessions } from "../sessions/pending-sessions.ts";
import type { CpuReading } from "./cpu-rate.ts";
import type { Reservation } from "./reservations.ts";
import type { TurnQueue } from "./turn-queue.ts";

/** A sandbox that lives here. It is shown from the moment on at which it is ready. */
export interface SandboxEntry {
  readonly id: string;
  /** With the secrets, for as long as this process lives */
  readonly config: PodSandboxConfig;
  readonly reservation: Reservation;
  readonly containers: Map<string, ContainerEntry>;
  /** What each container may use, also those that are being made */
  readonly demands: Map<string, Demand>;
  /** Calls that make containers in it */
  readonly creating: Set<Promise<unknown>>;
  /** A driver wants its calls for one sandbox one after the other */
  readonly driverTurn: TurnQueue;
  readonly writeTurn: TurnQueue;
  /** Aborted when the sandbox stops: nothing new begins in it, what is under way ends */
  readonly leaving: AbortController;
  /** Absent when no driver of that name is here */
  readonly driver?: SandboxDriver | undefined;
  /** Absent when it is down, or when the driver could not be asked */
  sandbox?: DriverSandbox | undefined;
  record: SandboxRecord;
  isReady: boolean;
  /** Whether driver and network have given back what they held; perhaps not written down yet */
  isDown: boolean;
  /** Whether its stop was told */
  isStopTold: boolean;
  isGone: boolean;
  takingDown?: Promise<void> | undefined;
  stopping?: Promise<void> | undefined;
  removing?: Promise<void> | undefined;
  cpu?: CpuReading | undefined;
}

export interface ContainerEntry {
  readonly id: string;
  readonly sandbox: SandboxEntry;
  readonly reservation: Reservation;
  /** Calls that change the container */
  readonly turn: TurnQueue;
  readonly writeTurn: TurnQueue;
  /** Aborted when the container is removed */
  readonly leaving: AbortController;
  readonly pending: PendingSessions;
  record: ContainerRecord;
  /** Whether this process has asked for its root filesystems; after a restart it must ask again */
  isHeld: boolean;
  driver?: DriverContainer | undefined;
  /** Resolves when the end of its first process is written down */
  ended?: Promise<void> | undefined;
  /** Resolves when it has exited, or is gone */
  readonly over: PromiseWithResolvers<void>;
  stopping?: StopInProgress | undefined;
  removing?: Promise<void> | undefined;
  isStarting: boolean;
  isGone: boolean;
  cpu?: CpuReading | undefined;
}

/** A stop that others can join, and make shorter. */
interface StopInProgress {
  readonly done: Promise<void>;
  /** No effect when the container would be killed earlier anyway. */
  killWithin(timeoutMs: number): void;
}
