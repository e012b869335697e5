import type { Container, ContainerStatus, PodSandbox, PodSandboxStatus } from "@longshore/core";
import type { ContainerEntry, SandboxEntry } from "./entries.ts";

/** A sandbox as lists show it. */
export function toPodSandbox({ id, config, record, isReady }: SandboxEntry): PodSandbox {
  return {
    id,
    metadata: config.metadata,
    state: isReady ? "ready" : "notready",
    createdAt: record.createdAt,
    labels: config.labels ?? {},
    annotations: config.annotations ?? {},
    runtimeHandler: record.runtimeHandler,
  };
}

export function toPodSandboxStatus(entry: SandboxEntry): PodSandboxStatus {
  const { record, config } = entry;
  const { status } = record.network ?? {};
  return {
    ...toPodSandbox(entry),
    ...(status !== undefined && { network: status }),
    linux: { namespaces: config.linux?.securityContext?.namespaceOptions ?? {} },
  };
}

/** A container as lists show it. */
export function toContainer(entry: ContainerEntry): Container {
  const { record } = entry;
  const { config } = record;
  return {
    id: entry.id,
    podSandboxId: entry.sandbox.id,
    metadata: config.metadata,
    image: config.image,
    imageRef: record.imageRef,
    imageId: record.imageId,
    state: record.state,
    createdAt: record.createdAt,
    labels: config.labels ?? {},
    annotations: config.annotations ?? {},
  };
}

export function toContainerStatus(entry: ContainerEntry): ContainerStatus {
  const { podSandboxId: _, ...container } = toContainer(entry);
  const { record } = entry;
  const { startedAt, finishedAt, exitCode, reason, message, user, resources, logPath } = record;
  return {
    ...container,
    startedAt,
    finishedAt,
    exitCode,
    stopSignal: record.stopSignal,
    mounts: record.config.mounts ?? [],
    ...(reason !== undefined && { reason }),
    ...(message !== undefined && { message }),
    ...(logPath !== undefined && { logPath }),
    ...(resources !== undefined && { resources: { linux: resources } }),
    ...(user !== undefined && { user: { linux: user } }),
  };
}
