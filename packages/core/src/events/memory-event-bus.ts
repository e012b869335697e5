import { EventEmitter } from "eventemitter3";
import { LongshoreError } from "../errors/longshore-error.ts";
import type {
  EventBus,
  EventEnvelope,
  EventListener,
  EventStream,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "./event-bus.ts";
import { EventQueue } from "./event-queue.ts";
import { splitTopic } from "./event-topic.ts";
import { LiveEnvelope } from "./live-envelope.ts";
import { TopicIndex } from "./topic-index.ts";

export interface MemoryEventBusOptions {
  /** Told what a listener threw. @default silence */
  onListenerError?(error: unknown, event: EventEnvelope): void;
  /** Topics whose last event is kept for late subscribers; the one unused longest goes first. @default 10_000 */
  readonly maxRetainedTopics?: number | undefined;
}

type Receiver = (event: EventEnvelope) => Promise<void> | undefined;

/** Topics whose patterns are remembered; the topics of a busy source repeat. */
const maxCachedTopics = 4_096;
const done = Promise.resolve();

/** The event bus inside one process. */
export function memoryEventBus(options: MemoryEventBusOptions = {}): EventBus {
  const { onListenerError, maxRetainedTopics = 10_000 } = options;
  // The index finds the patterns that match a topic; the emitter knows who listens to each pattern.
  const emitter = new EventEmitter<Record<string, (event: EventEnvelope, room: Rooms) => void>>();
  const index = new TopicIndex<string>();
  const matchCache = new Map<string, readonly string[]>();
  const retained = new Map<string, EventEnvelope>();
  const subscriptions = new Set<Subscription>();
  let isClosed = false;

  function patternsFor(topic: string): readonly string[] {
    const cached = matchCache.get(topic);
    if (cached !== undefined) return cached;
    const patterns: string[] = [];
    index.match(splitTopic(topic), (pattern) => patterns.push(pattern));
    if (matchCache.size >= maxCachedTopics) matchCache.clear();
    matchCache.set(topic, patterns);
    return patterns;
  }

  function publish(topic: string, data: unknown, publishOptions?: PublishOptions): Promise<void> {
    let patterns: readonly string[];
    try {
      if (isClosed) throw new LongshoreError("IO_ERROR", "The event bus is closed.");
      patterns = patternsFor(topic);
    } catch (error) {
      return rejected(error);
    }
    const isRetained = publishOptions?.retain === true;
    if (patterns.length === 0 && !isRetained) return done;
    const event = new LiveEnvelope(topic, data, publishOptions);
    if (isRetained) retain(event);
    const rooms: Rooms = [];
    for (const pattern of patterns) emitter.emit(pattern, event, rooms);
    return rooms.length === 0 ? done : Promise.all(rooms).then(() => undefined);
  }

  function retain(event: EventEnvelope): void {
    retained.delete(event.topic);
    retained.set(event.topic, event);
    if (retained.size <= maxRetainedTopics) return;
    for (const oldest of retained.keys()) {
      retained.delete(oldest);
      break;
    }
  }

  function attach(
    pattern: string,
    receive: Receiver,
    { retained: wantsRetained = false }: SubscribeOptions,
  ): () => void {
    if (isClosed) throw new LongshoreError("IO_ERROR", "The event bus is closed.");
    const listener = (event: EventEnvelope, rooms: Rooms): void => {
      const room = receive(event);
      if (room !== undefined) rooms.push(room);
    };
    if (emitter.listenerCount(pattern) === 0) {
      index.add(pattern, pattern);
      matchCache.clear();
    }
    emitter.on(pattern, listener);
    if (wantsRetained) replay(pattern, receive);
    return () => {
      emitter.off(pattern, listener);
      if (emitter.listenerCount(pattern) > 0) return;
      index.delete(pattern, pattern);
      matchCache.clear();
    };
  }

  function replay(pattern: string, receive: Receiver): void {
    const only = new TopicIndex<string>();
    only.add(pattern, pattern);
    for (const event of retained.values()) {
      only.match(splitTopic(event.topic), () => void receive(event));
    }
  }

  /** A queue, and a consumer that is woken when something is in it. */
  function open(pattern: string, subscribeOptions: SubscribeOptions, wake: () => void) {
    const { queueCapacity = 1_000, overflow = "drop_oldest", signal } = subscribeOptions;
    signal?.throwIfAborted();
    const queue = new EventQueue(queueCapacity, overflow);
    let isEnded = false;
    const detach = attach(
      pattern,
      (event) => {
        queue.push(event);
        wake();
        return queue.room();
      },
      subscribeOptions,
    );
    const end = (): Promise<void> => {
      if (!isEnded) {
        isEnded = true;
        detach();
        signal?.removeEventListener("abort", end);
        queue.release();
        subscriptions.delete(subscription);
        wake();
      }
      return done;
    };
    const subscription: Subscription = {
      pattern,
      get droppedCount() {
        return queue.droppedCount;
      },
      get queuedCount() {
        return queue.size;
      },
      [Symbol.asyncDispose]: end,
    };
    subscriptions.add(subscription);
    signal?.addEventListener("abort", end, { once: true });
    return { queue, subscription, end, isEnded: () => isEnded };
  }

  function on(pattern: string, listener: EventListener, listenOptions: SubscribeOptions = {}) {
    let isDraining = false;
    // The queue may be filled with retained events before `open` has returned.
    let feed: ReturnType<typeof open> | undefined;

    async function drain(): Promise<void> {
      // Whoever publishes goes on first.
      await done;
      for (let event = feed?.queue.shift(); event !== undefined; event = feed?.queue.shift()) {
        if (feed?.isEnded() === true) break;
        try {
          const pending = listener(event);
          if (pending !== undefined) await pending;
        } catch (error) {
          onListenerError?.(error, event);
        }
      }
      isDraining = false;
    }

    feed = open(pattern, listenOptions, wake);
    if (feed.queue.size > 0) wake();
    return feed.subscription;

    function wake(): void {
      if (isDraining || feed === undefined) return;
      isDraining = true;
      void drain();
    }
  }

  function subscribe(pattern: string, streamOptions: SubscribeOptions = {}): EventStream {
    let wakeUp: (() => void) | undefined;
    const { queue, subscription, end, isEnded } = open(pattern, streamOptions, () => {
      wakeUp?.();
    });

    async function* events(): AsyncGenerator<EventEnvelope> {
      try {
        for (;;) {
          const event = queue.shift();
          if (event !== undefined) {
            yield event;
            continue;
          }
          if (isEnded()) return;
          await new Promise<void>((resolve) => {
            wakeUp = resolve;
          });
        }
      } finally {
        await end();
      }
    }

    return {
      pattern,
      get droppedCount() {
        return subscription.droppedCount;
      },
      get queuedCount() {
        return subscription.queuedCount;
      },
      [Symbol.asyncIterator]: events,
      [Symbol.asyncDispose]: end,
    };
  }

  return {
    publish,
    on,
    subscribe,
    async [Symbol.asyncDispose]() {
      isClosed = true;
      for (const subscription of subscriptions) await subscription[Symbol.asyncDispose]();
      retained.clear();
      matchCache.clear();
    },
  };
}

/** What a publisher waits for: one promise for each subscriber that blocks it. */
type Rooms = Promise<void>[];

/** A publisher need not wait; a bad topic must not end its process then. */
function rejected(error: unknown): Promise<never> {
  const promise = Promise.reject<never>(error);
  promise.catch(() => {
    // Whoever awaits the promise still gets the error.
  });
  return promise;
}
