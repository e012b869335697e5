import { setTimeout as delay } from "node:timers/promises";
import {
  isLongshoreError,
  LongshoreError,
  type ContainerStatus,
  type RuntimeClient,
} from "@longshore/core";

/** Between two looks at a runtime that tells no events */
const firstLookMs = 20;
const lastLookMs = 500;

/**
 * Waits until a container has ended, by events where the runtime tells them.
 *
 * @throws the signal's reason
 */
export async function containerEnd(
  runtime: RuntimeClient,
  containerId: string,
  signal: AbortSignal,
): Promise<ContainerStatus> {
  const look = async (): Promise<ContainerStatus | undefined> => {
    const { status } = await runtime.containerStatus({ containerId }, { signal });
    return status.state === "exited" || status.state === "unknown" ? status : undefined;
  };
  if (runtime.getContainerEvents !== undefined)
    await untilEvent(runtime, containerId, { look, signal });
  for (let waitMs = firstLookMs; ; waitMs = Math.min(2 * waitMs, lastLookMs)) {
    const status = await look();
    if (status !== undefined) return status;
    await delay(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Returns as soon as it is worth to look. */
async function untilEvent(
  runtime: RuntimeClient,
  containerId: string,
  { look, signal }: { look(): Promise<ContainerStatus | undefined>; readonly signal: AbortSignal },
): Promise<void> {
  const done = new AbortController();
  const stop = AbortSignal.any([signal, done.signal]);
  const events = runtime.getContainerEvents?.({ signal: stop })[Symbol.asyncIterator]();
  if (events === undefined) return;
  try {
    // Asked for before the first look, so that an end in between is not missed.
    let next = events.next();
    next.catch(() => undefined);
    if ((await look()) !== undefined) return;
    for (let result = await next; result.done !== true; result = await next) {
      const { containerId: id, containerEventType: type } = result.value;
      if (id === containerId && (type === "stopped" || type === "deleted")) return;
      next = events.next();
    }
  } catch (error) {
    signal.throwIfAborted();
    // Too far behind the events: then we look ourselves.
    if (!isLongshoreError(error, "LIMIT_EXCEEDED")) throw error;
  } finally {
    done.abort(new LongshoreError("CANCELLED", "The container has ended."));
    // Not awaited: a stream that waits for an event answers only when it has come.
    events.return?.().catch(() => undefined);
  }
}
