import type { Abortable } from "../abortable.ts";

/** A fact that was made known: a plain object, to copy and to write as JSON. Field names follow CloudEvents 1.0. */
export interface EventEnvelope<Data = unknown> {
  readonly specversion: "1.0";
  readonly id: string;
  /** RFC 3339 */
  readonly time: string;
  /** First part of the topic */
  readonly source: string;
  /** `{source}.{id}.{event}`, each part `[A-Za-z0-9_:@%-]{1,384}` */
  readonly topic: string;
  /** `{source}.{event}` */
  readonly type: string;
  /** Second part of the topic, decoded */
  readonly subject: string;
  readonly correlationId?: string | undefined;
  /** Kind of thing `subject` names, e.g. `"job"` or `"sandbox"` */
  readonly entityType?: string | undefined;
  readonly data: Data;
}

export interface PublishOptions {
  readonly correlationId?: string | undefined;
  readonly entityType?: string | undefined;
  /** Whether later subscribers that ask for it get this as the topic's last event. @default false */
  readonly retain?: boolean | undefined;
}

/**
 * What happens when a subscriber's queue is full. `block` makes the publisher wait: the queue takes its event and
 * `publish` resolves when there is room again. Publishers that do not wait can overfill it by 10,000 events; what comes
 * then is dropped and counted.
 */
export type OverflowPolicy = "drop_oldest" | "drop_newest" | "block";

export interface SubscribeOptions extends Abortable {
  /** Events that may wait for the subscriber. @default 1_000 */
  readonly queueCapacity?: number | undefined;
  /** @default "drop_oldest" */
  readonly overflow?: OverflowPolicy | undefined;
  /** Begin with the retained event of each topic that matches. @default false */
  readonly retained?: boolean | undefined;
}

/**
 * A live subscription. Dispose, like an abort of its signal, ends it: a listener is not called again, though a call under
 * way is not waited for; an async iteration finishes after what is queued.
 */
export interface Subscription extends AsyncDisposable {
  readonly pattern: string;
  /** Events this subscriber did not get because its queue was full */
  readonly droppedCount: number;
  /** Events that wait */
  readonly queuedCount: number;
}

export interface EventStream extends Subscription, AsyncIterable<EventEnvelope> {}

/** May return a promise; the next event waits for it. What it throws goes to the bus's error hook. */
export type EventListener = (event: EventEnvelope) => Promise<void> | void;

/**
 * Tells facts to whoever cares: at most once, in order per publisher, never a harm to the publisher.
 *
 * A topic has exactly three parts, `{source}.{id}.{event}`. A pattern is parts joined by dots, where `*` stands for one
 * whole part and `**`, last, for all that remain; a pattern shorter than the topic without `**` does not match, and a
 * part never matches a longer one (`job.a1` is not `job.a10`).
 */
export interface EventBus extends AsyncDisposable {
  /**
   * Resolves once every subscriber with overflow `block` has room; at once when there is none.
   *
   * @throws {LongshoreError} `VALIDATION_ERROR` for a topic that is not one
   */
  publish(topic: string, data: unknown, options?: PublishOptions): Promise<void>;
  /** Calls the listener for each event, one at a time, not before `publish` has returned. */
  on(pattern: string, listener: EventListener, options?: SubscribeOptions): Subscription;
  /** Events as an async iterable; leaving the loop ends the subscription. */
  subscribe(pattern: string, options?: SubscribeOptions): EventStream;
}
