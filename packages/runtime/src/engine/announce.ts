import { eventTopic, nanosecondsFromMs } from "@longshore/core";
import type { ContainerEntry, SandboxEntry } from "./entries.ts";
import type { Engine, EngineEventType } from "./engine.ts";
import { toContainerStatus, toPodSandboxStatus } from "./statuses.ts";

/** Tells what happened to a sandbox. Called when it is written down, and never a reason to fail. */
export function announceSandbox(engine: Engine, type: EngineEventType, entry: SandboxEntry): void {
  tell(engine, type, { id: entry.id, entry });
  publish(engine, eventTopic("worker", entry.id, type), {
    entityType: "sandbox",
    data: { sandboxId: entry.id, metadata: entry.config.metadata },
  });
}

export function announceContainer(
  engine: Engine,
  type: EngineEventType,
  container: ContainerEntry,
): void {
  const { id, sandbox, record } = container;
  tell(engine, type, { id, entry: sandbox });
  const { exitCode, reason } = record;
  publish(engine, eventTopic("worker", id, type), {
    entityType: "container",
    data: {
      containerId: id,
      sandboxId: sandbox.id,
      metadata: record.config.metadata,
      image: record.config.image.image,
      ...(record.state === "exited" && { exitCode, reason }),
    },
  });
}

function tell(
  { events, registry }: Engine,
  type: EngineEventType,
  { id, entry }: { readonly id: string; readonly entry: SandboxEntry },
): void {
  const isThere = registry.sandboxes.get(entry.id) === entry;
  events.publish({
    containerId: id,
    containerEventType: type,
    createdAt: nanosecondsFromMs(Date.now()),
    ...(isThere && { podSandboxStatus: toPodSandboxStatus(entry) }),
    containersStatuses: [...entry.containers.values()].map(toContainerStatus),
  });
}

function publish(
  { bus, logger }: Engine,
  topic: string,
  { entityType, data }: { readonly entityType: string; readonly data: object },
): void {
  bus
    ?.publish(topic, data, { entityType })
    .catch((error: unknown) => logger.warn({ error, topic }, "an event could not be published"));
}
