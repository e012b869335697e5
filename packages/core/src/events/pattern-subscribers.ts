import { EventEmitter } from "eventemitter3";
import type { EventEnvelope } from "./event-bus.ts";

export type Receiver = (event: EventEnvelope) => void;

/** Who listens to one pattern. */
export interface Subscribers {
  /** All of them, in the order they came; the list changes only with them */
  receivers(): readonly Receiver[];
  /** Adds one and returns what removes it, which says whether none is left. */
  add(receive: Receiver): () => boolean;
}

export function patternSubscribers(): Subscribers {
  const emitter = new EventEmitter<{ event: Receiver }>();
  let known: readonly Receiver[] | undefined;
  return {
    receivers: () => (known ??= emitter.listeners("event")),
    add(receive) {
      emitter.on("event", receive);
      known = undefined;
      return () => {
        emitter.off("event", receive);
        known = undefined;
        return emitter.listenerCount("event") === 0;
      };
    },
  };
}
