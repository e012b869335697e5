import type { Abortable, SignalContainerRequest } from "@longshore/core";
import type { Engine } from "../engine/engine.ts";
import { requireRunning } from "../engine/requirements.ts";
import { parseSignalName } from "../engine/signal-names.ts";

/** Not in the container's turn: a stop that waits for the process must not keep signals from it. */
export async function signalContainer(
  engine: Engine,
  { containerId, signal: name }: SignalContainerRequest,
  { signal }: Abortable = {},
): Promise<void> {
  signal?.throwIfAborted();
  const known = parseSignalName(name);
  const entry = engine.registry.getContainer(containerId);
  if (entry.record.state === "exited") return;
  await requireRunning(entry).signal(known);
}
