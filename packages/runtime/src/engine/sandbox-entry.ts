import type { DriverSandboxSpec, PodSandboxConfig } from "@longshore/core";
import type { ContainerRecord } from "../records/container-record.ts";
import type { SandboxRecord } from "../records/sandbox-record.ts";
import { pendingSessions } from "../sessions/pending-sessions.ts";
import type { Engine } from "./engine.ts";
import type { ContainerEntry, SandboxEntry } from "./entries.ts";
import type { Reservation } from "./reservations.ts";
import { turnQueue } from "./turn-queue.ts";

export function sandboxEntry(
  engine: Pick<Engine, "drivers">,
  record: SandboxRecord,
  { config, reservation }: { readonly config: PodSandboxConfig; readonly reservation: Reservation },
): SandboxEntry {
  return {
    id: record.id,
    config,
    reservation,
    record,
    containers: new Map(),
    demands: new Map(),
    creating: new Set(),
    driverTurn: turnQueue(),
    writeTurn: turnQueue(),
    leaving: new AbortController(),
    driver: engine.drivers.get(record.driver),
    isReady: false,
    isDown: record.isTornDown,
    isStopTold: record.isTornDown,
    isGone: false,
  };
}

export function containerEntry(
  record: ContainerRecord,
  sandbox: SandboxEntry,
  reservation: Reservation,
): ContainerEntry {
  const over = Promise.withResolvers<void>();
  if (record.state === "exited") over.resolve();
  return {
    id: record.id,
    sandbox,
    reservation,
    record,
    turn: turnQueue(),
    writeTurn: turnQueue(),
    leaving: new AbortController(),
    pending: pendingSessions(),
    over,
    isHeld: false,
    isStarting: false,
    isGone: false,
  };
}

/** What a driver is told of a sandbox. */
export function driverSandboxSpec(
  { records }: Pick<Engine, "records">,
  { id, network }: SandboxRecord,
  config: PodSandboxConfig,
): DriverSandboxSpec {
  return {
    id,
    directory: records.sandboxDirectory(id),
    config,
    ...(network?.namespacePath !== undefined && { networkNamespace: network.namespacePath }),
    ...(network?.status !== undefined && { network: network.status }),
    ...(network?.nameServers !== undefined && { nameServers: network.nameServers }),
  };
}

/** Names that are taken until removal. */
export function sandboxKey({ metadata }: PodSandboxConfig): string {
  const { name, uid, namespace, attempt = 0 } = metadata;
  return JSON.stringify(["sandbox", name, uid, namespace, attempt]);
}

export function containerKey(
  sandboxId: string,
  { metadata }: Pick<ContainerRecord["config"], "metadata">,
): string {
  return JSON.stringify(["container", sandboxId, metadata.name, metadata.attempt ?? 0]);
}
