import type { DeliveryTurn } from "./delivery-turn.ts";
import type { EventEnvelope, EventListener } from "./event-bus.ts";
import type { EventQueue } from "./event-queue.ts";

interface ListenerDeliveryOptions {
  readonly turn: DeliveryTurn;
  readonly onListenerError: ((error: unknown, event: EventEnvelope) => void) | undefined;
}

/** Calls a listener for what comes into a queue: one event at a time, never in the publisher's call. */
export function listenerDelivery(
  queue: EventQueue,
  listener: EventListener,
  { turn, onListenerError }: ListenerDeliveryOptions,
): { wake(): void; ended(): void } {
  /** Whether a call of {@link deliver} is to come, or a listener's promise is awaited */
  let isBusy = false;

  function deliver(): void {
    // What the listener itself publishes waits for the next turn, so that others get theirs.
    for (let left = queue.size; left > 0; left -= 1) {
      const event = queue.shift();
      if (event === undefined) break;
      try {
        const pending = listener(event);
        if (isThenable(pending)) {
          void settle(pending, event);
          return;
        }
      } catch (error) {
        report(error, event);
      }
    }
    isBusy = false;
    if (queue.size > 0) wake();
  }

  async function settle(pending: PromiseLike<void>, event: EventEnvelope): Promise<void> {
    try {
      await pending;
    } catch (error) {
      report(error, event);
    }
    deliver();
  }

  function report(thrown: unknown, event: EventEnvelope): void {
    if (onListenerError === undefined) return;
    const hook = async (): Promise<void> => onListenerError(thrown, event);
    hook().catch(() => {
      // The hook is the last to hear of errors; its own have nowhere to go.
    });
  }

  function wake(): void {
    if (isBusy) return;
    isBusy = true;
    turn.plan(deliver);
  }

  return {
    wake,
    // Whoever ended the subscription wants no more calls.
    ended: () => queue.clear(),
  };
}

function isThenable(value: unknown): value is PromiseLike<void> {
  return (
    typeof value === "object" &&
    value !== null &&
    "then" in value &&
    typeof value.then === "function"
  );
}
