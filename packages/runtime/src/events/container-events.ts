import { LongshoreError, type ContainerEvent } from "@longshore/core";

/** Tells every reader what happens, and waits for none. */
export interface ContainerEvents {
  publish(event: ContainerEvent): void;
  /** From now on, until the signal aborts. */
  subscribe(signal?: AbortSignal): AsyncIterable<ContainerEvent>;
  /** Ends every reader's loop. */
  end(): void;
}

/** Events that wait for a reader; one that is further behind has lost the thread. */
const maxWaiting = 1_000;

type Result = IteratorResult<ContainerEvent, undefined>;

interface Reader {
  push(event: ContainerEvent): void;
  end(): void;
}

export function containerEvents(): ContainerEvents {
  const readers = new Set<Reader>();
  let isEnded = false;
  return {
    publish(event) {
      for (const reader of readers) reader.push(event);
    },
    subscribe(signal) {
      const { reader, iterable } = createReader(signal, () => readers.delete(reader));
      if (isEnded || signal?.aborted === true) reader.end();
      else readers.add(reader);
      return iterable;
    },
    end() {
      isEnded = true;
      for (const reader of readers) reader.end();
    },
  };
}

/** Written out, for a generator that waits cannot be told to return. */
function createReader(
  signal: AbortSignal | undefined,
  onEnd: () => void,
): { readonly reader: Reader; readonly iterable: AsyncIterable<ContainerEvent> } {
  let events: ContainerEvent[] = [];
  let waiting: PromiseWithResolvers<Result>[] = [];
  let isEnded = false;
  let isLost = false;

  const finish = (): void => {
    if (isEnded) return;
    isEnded = true;
    signal?.removeEventListener("abort", finish);
    onEnd();
    for (const { resolve } of waiting) resolve({ done: true, value: undefined });
    waiting = [];
  };
  signal?.addEventListener("abort", finish, { once: true });

  const reader: Reader = {
    end: finish,
    push(event) {
      const next = waiting.shift();
      if (next !== undefined) {
        next.resolve({ done: false, value: event });
        return;
      }
      events.push(event);
      if (events.length <= maxWaiting) return;
      isLost = true;
      events = [];
      finish();
    },
  };

  const iterator: AsyncIterator<ContainerEvent, undefined> = {
    async next() {
      const event = events.shift();
      if (event !== undefined) return { done: false, value: event };
      if (isLost) {
        isLost = false;
        throw new LongshoreError(
          "LIMIT_EXCEEDED",
          `The reader is more than ${maxWaiting} events behind; list what there is and begin again.`,
          { details: { maxWaiting } },
        );
      }
      if (isEnded) return { done: true, value: undefined };
      const next = Promise.withResolvers<Result>();
      waiting.push(next);
      return next.promise;
    },
    async return() {
      events = [];
      finish();
      return { done: true, value: undefined };
    },
  };
  return { reader, iterable: { [Symbol.asyncIterator]: () => iterator } };
}
