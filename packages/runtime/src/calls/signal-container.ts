import {
  LongshoreError,
  type Abortable,
  type ContainerRef,
  type ContainerStatus,
  type SignalContainerRequest,
} from "@longshore/core";
import type { Engine } from "../engine/engine.ts";
import { requireRunning, wrapped } from "../engine/requirements.ts";
import { parseSignalName } from "../engine/signal-names.ts";
import { toContainerStatus } from "../engine/statuses.ts";
import { abortable, anySignal } from "../engine/turn-queue.ts";

export async function signalContainer(
  engine: Engine,
  { containerId, signal: wanted }: SignalContainerRequest,
  { signal }: Abortable = {},
): Promise<void> {
  signal?.throwIfAborted();
  const entry = engine.registry.getContainer(containerId);
  const name = parseSignalName(wanted);
  if (entry.record.state === "exited") return;
  const sending = requireRunning(entry).signal(name);
  try {
    await abortable(sending, signal);
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : wrapped(error, "EXECUTION_ERROR");
  }
}

export async function waitContainer(
  engine: Engine,
  { containerId }: ContainerRef,
  { signal }: Abortable = {},
): Promise<ContainerStatus> {
  signal?.throwIfAborted();
  const entry = engine.registry.getContainer(containerId);
  await abortable(entry.over.promise, anySignal(signal, engine.closing));
  if (entry.record.state === "exited") return toContainerStatus(entry);
  throw new LongshoreError("NOT_FOUND", `The container ${entry.id} was removed unstarted.`, {
    details: { containerId: entry.id },
  });
}
