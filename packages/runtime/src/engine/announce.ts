import { eventTopic, nanosecondsFromMs, type DriverRecoverProblem } from "@longshore/core";
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

/** Tells of a sandbox that nobody knows any more, and that could not be taken down, or only by force. */
export function announceProblem(
  engine: Engine,
  {
    runtimeHandler,
    sandboxId,
    message,
    error,
  }: DriverRecoverProblem & { readonly runtimeHandler: string },
): void {
  const fields = { runtimeHandler, podSandboxId: sandboxId, reason: message };
  if (error === undefined) engine.logger.warn(fields, "a forgotten sandbox was ended by force");
  else engine.logger.error({ ...fields, error }, "a forgotten sandbox could not be taken down");
  publish(engine, eventTopic("worker", sandboxId, "problem"), {
    entityType: "sandbox",
    data: { sandboxId, runtimeHandler, message, isGone: error === undefined },
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
