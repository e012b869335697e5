import type { Abortable, ContainerRef, ContainerStatus } from "@longshore/core";
import type { Engine } from "../engine/engine.ts";
import { toContainerStatus } from "../engine/statuses.ts";
import { anySignal } from "../engine/turn-queue.ts";

export async function waitContainer(
  engine: Engine,
  { containerId }: ContainerRef,
  { signal: given }: Abortable = {},
): Promise<ContainerStatus> {
  given?.throwIfAborted();
  const entry = engine.registry.getContainer(containerId);
  const over = new AbortController();
  const signal = anySignal(given, over.signal, engine.closing);
  try {
    // From here on no event is missed; the state is looked at after each of the container's own.
    for await (const event of withFirst(engine.events.subscribe(signal))) {
      if (event !== undefined && event.containerId !== entry.id) continue;
      if (entry.record.state === "exited") return toContainerStatus(entry);
      engine.registry.getContainer(entry.id);
    }
    given?.throwIfAborted();
    engine.closing.throwIfAborted();
    return toContainerStatus(entry);
  } finally {
    over.abort();
  }
}

/** Begins with `undefined`, once the events are being kept. */
async function* withFirst<T>(events: AsyncIterable<T>): AsyncGenerator<T | undefined> {
  yield undefined;
  yield* events;
}
