import type { MeterProvider } from "@opentelemetry/api";
import { LongshoreError } from "../errors/longshore-error.ts";
import { droppedEventsCounter } from "../telemetry/dropped-events-counter.ts";
import { deliveryTurn } from "./delivery-turn.ts";
import { envelopeMaker, topicHead, type TopicHead } from "./envelope-maker.ts";
import type {
  EventBus,
  EventEnvelope,
  EventListener,
  EventStream,
  PublishOptions,
  SubscribeOptions,
  Subscription,
} from "./event-bus.ts";
import { eventStream } from "./event-stream.ts";
import { EventQueue } from "./event-queue.ts";
import { isTopic, splitTopic, topicError } from "./event-topic.ts";
import { listenerDelivery } from "./listener-delivery.ts";
import { patternSubscribers, type Receiver, type Subscribers } from "./pattern-subscribers.ts";
import { TopicIndex } from "./topic-index.ts";

export interface MemoryEventBusOptions {
  /** Told what a listener threw. @default silence */
  onListenerError?(error: unknown, event: EventEnvelope): void;
  /** Topics whose last event is kept for late subscribers; the one unused longest goes first. @default 10_000 */
  readonly maxRetainedTopics?: number | undefined;
  /** Where dropped events are counted, as `worker_event_bus_dropped_total`. @default the global one */
  readonly meterProvider?: MeterProvider | undefined;
}

/** Where the events of a topic go */
interface Route {
  readonly head: TopicHead;
  readonly receivers: readonly Receiver[];
}

/** Topics whose route is remembered, and how many unknown ones are met for each that is. */
const maxKnownRoutes = 2_048;
const missesPerKnownRoute = 8;
const done = Promise.resolve();

/**
 * The event bus inside one process. What is published in one go, without a pause, carries the time of its first event.
 *
 * @throws {RangeError} for options that make no sense
 */
export function memoryEventBus(options: MemoryEventBusOptions = {}): EventBus {
  const { onListenerError, maxRetainedTopics = 10_000 } = options;
  if (!Number.isSafeInteger(maxRetainedTopics) || maxRetainedTopics < 0) {
    throw new RangeError(`maxRetainedTopics must be 0 or more, got ${maxRetainedTopics}`);
  }
  // The index finds the patterns that match a topic; each pattern knows its subscribers.
  const index = new TopicIndex<Subscribers>();
  const routes = new Map<string, Route>();
  const retained = new Map<string, EventEnvelope>();
  const subscriptions = new Set<Subscription>();
  const turn = deliveryTurn();
  const makeEnvelope = envelopeMaker(turn.time);
  const countDrop = droppedEventsCounter(options.meterProvider);
  /** Full queues that the event being published has met */
  let rooms: Promise<void>[] = [];
  let lastRoute: Route | undefined;
  let patternCount = 0;
  let misses = 0;
  let isClosed = false;

  function findRoute(topic: string): Route {
    const segments = splitTopic(topic);
    const matching = index.match(segments);
    const receivers = matching.flatMap((subscribers) => subscribers.receivers());
    const route = { head: topicHead(topic, segments), receivers };
    misses += 1;
    // A topic that repeats gets in soon; keeping every topic of every job would cost more than it saves.
    if (misses % missesPerKnownRoute === 0) {
      if (routes.size >= maxKnownRoutes) routes.clear();
      routes.set(topic, route);
    }
    return route;
  }

  function forgetRoutes(): void {
    routes.clear();
    lastRoute = undefined;
  }

  function publish(topic: string, data: unknown, publishOptions?: PublishOptions): Promise<void> {
    if (isClosed) return rejected(closedError());
    const isRetained = publishOptions?.retain === true;
    if (patternCount === 0 && !isRetained) {
      return isTopic(topic) ? done : rejected(topicError(topic));
    }
    let route = lastRoute?.head.topic === topic ? lastRoute : routes.get(topic);
    if (route === undefined) {
      try {
        route = findRoute(topic);
      } catch (error) {
        return rejected(error);
      }
    }
    lastRoute = route;
    const { receivers } = route;
    if (receivers.length === 0 && !isRetained) return done;
    const event = makeEnvelope(route.head, data, publishOptions);
    if (isRetained) retain(event);
    for (const receive of receivers) receive(event);
    if (rooms.length === 0) return done;
    const waited = Promise.all(rooms);
    rooms = [];
    return waited.then(() => undefined);
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

  /** Adds a subscriber to a pattern and returns what takes it away. */
  function attach(pattern: string, receive: Receiver): () => void {
    let subscribers = index.get(pattern);
    if (subscribers === undefined) {
      subscribers = patternSubscribers();
      index.set(pattern, subscribers);
      patternCount += 1;
    }
    const remove = subscribers.add(receive);
    forgetRoutes();
    return () => {
      const isEmpty = remove();
      if (isEmpty) {
        index.delete(pattern);
        patternCount -= 1;
      }
      forgetRoutes();
    };
  }

  function replay(pattern: string, queue: EventQueue): void {
    const only = new TopicIndex<true>();
    only.set(pattern, true);
    for (const event of retained.values()) {
      if (only.match(splitTopic(event.topic)).length > 0) queue.push(event);
    }
  }

  /** A queue that fills until it is ended. `wake` is called when there is something to take, `ended` once at the end. */
  function open(
    pattern: string,
    subscribeOptions: SubscribeOptions,
    consumer: (queue: EventQueue) => { wake(): void; ended(): void },
  ): Subscription {
    const { queueCapacity = 1_000, overflow = "drop_oldest", signal } = subscribeOptions;
    signal?.throwIfAborted();
    if (isClosed) throw closedError();
    const queue = new EventQueue(queueCapacity, overflow, () => {
      countDrop(overflow);
    });
    const isBlocking = overflow === "block";
    const { wake, ended } = consumer(queue);
    const detach = attach(pattern, (event) => {
      queue.push(event);
      wake();
      if (!isBlocking) return;
      const room = queue.room();
      if (room !== undefined) rooms.push(room);
    });
    if (subscribeOptions.retained === true) {
      replay(pattern, queue);
      if (queue.size > 0) wake();
    }
    let isEnded = false;
    function end(): void {
      if (isEnded) return;
      isEnded = true;
      detach();
      signal?.removeEventListener("abort", end);
      subscriptions.delete(subscription);
      queue.release();
      ended();
    }
    const subscription: Subscription = {
      pattern,
      get droppedCount() {
        return queue.droppedCount;
      },
      get queuedCount() {
        return queue.size;
      },
      [Symbol.asyncDispose]() {
        end();
        return done;
      },
    };
    subscriptions.add(subscription);
    signal?.addEventListener("abort", end, { once: true });
    return subscription;
  }

  function on(
    pattern: string,
    listener: EventListener,
    listenOptions: SubscribeOptions = {},
  ): Subscription {
    return open(pattern, listenOptions, (queue) =>
      listenerDelivery(queue, listener, { turn, onListenerError }),
    );
  }

  function subscribe(pattern: string, streamOptions: SubscribeOptions = {}): EventStream {
    return eventStream((consumer) => open(pattern, streamOptions, consumer));
  }

  return {
    publish,
    on,
    subscribe,
    async [Symbol.asyncDispose]() {
      isClosed = true;
      for (const subscription of subscriptions) await subscription[Symbol.asyncDispose]();
      retained.clear();
      forgetRoutes();
    },
  };
}

function closedError(): LongshoreError {
  return new LongshoreError("IO_ERROR", "The event bus is closed.", { retryable: false });
}

/** A publisher need not wait; a bad topic must not end its process then. */
function rejected(reason: unknown): Promise<never> {
  const promise = Promise.reject(reason);
  promise.catch(() => {
    // Whoever awaits the promise still gets the error.
  });
  return promise;
}
