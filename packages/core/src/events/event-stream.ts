import type { EventEnvelope, EventStream, Subscription } from "./event-bus.ts";
import type { EventQueue } from "./event-queue.ts";

type Result = IteratorResult<EventEnvelope, undefined>;

const finished: Result = { done: true, value: undefined };

/**
 * A subscription that is iterated. Written out instead of a generator, for a generator that waits cannot be told to
 * return, and one that was never started ends nothing.
 */
export function eventStream(
  open: (consumer: (queue: EventQueue) => { wake(): void; ended(): void }) => Subscription,
): EventStream {
  let events: EventQueue | undefined;
  let readers: ((result: Result) => void)[] = [];
  let isEnded = false;

  function wake(): void {
    while (readers.length > 0) {
      const event = events?.shift();
      if (event === undefined) return;
      readers.shift()?.({ done: false, value: event });
    }
  }

  function ended(): void {
    isEnded = true;
    const waiting = readers;
    readers = [];
    for (const finish of waiting) finish(finished);
  }

  const subscription = open((queue) => {
    events = queue;
    return { wake, ended };
  });

  function next(): Promise<Result> {
    const event = events?.shift();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    if (isEnded) return Promise.resolve(finished);
    return new Promise((resolve) => readers.push(resolve));
  }

  return {
    pattern: subscription.pattern,
    get droppedCount() {
      return subscription.droppedCount;
    },
    get queuedCount() {
      return subscription.queuedCount;
    },
    [Symbol.asyncIterator]: () => ({
      next,
      async return() {
        events?.clear();
        await subscription[Symbol.asyncDispose]();
        return finished;
      },
    }),
    [Symbol.asyncDispose]: () => subscription[Symbol.asyncDispose](),
  };
}
