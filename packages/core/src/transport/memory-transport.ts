import { toJobError, type JobError } from "../errors/job-error.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import { createJobId } from "../job/job-id.ts";
import type { JobEvent } from "../job/job-event.ts";
import type { JobResult } from "../job/job-result.ts";
import type { JobDelivery, JobTransport, LeaseSink } from "./job-transport.ts";

/** What became of a message: answered with a result, or put aside with the reason. */
export type MessageEnd =
  | { readonly kind: "answered"; readonly result: JobResult }
  | { readonly kind: "dead"; readonly error: JobError };

/** A message in a memory queue, for whoever sent it. */
export interface SentMessage {
  readonly name: string;
  /** Resolves when the message is answered or put aside */
  readonly ended: Promise<MessageEnd>;
}

export interface SendOptions {
  /** @default "application/json" */
  readonly contentType?: JobDelivery["contentType"] | undefined;
  /** @default "local:memory" */
  readonly subject?: string | undefined;
}

/** Messages in this process's memory, for any number of workers. */
export interface MemoryQueue {
  /** Puts a document in: an object, or text or bytes as they are. */
  send(document: object | string | Uint8Array, options?: SendOptions): SentMessage;
  /** Asks whichever worker has the job to end it. */
  cancel(jobId: string, reason?: string): void;
  /** Told every event that a worker shows to the sender. */
  onEvent(listener: (event: JobEvent) => void): () => void;
  /** Messages that wait for a worker */
  readonly waitingCount: number;
  /** Messages that are leased */
  readonly leasedCount: number;
}

export interface MemoryTransportOptions {
  /** @default a queue of its own */
  readonly queue?: MemoryQueue | undefined;
  /** @default "memory" */
  readonly name?: string | undefined;
  /** @default 60_000 */
  readonly leaseMs?: number | undefined;
  /** Deliveries that the worker takes at a time. @default 64 */
  readonly prefetch?: number | undefined;
}

/** A transport whose messages are in this process's memory; they end with it. */
export interface MemoryTransport extends JobTransport {
  readonly queue: MemoryQueue;
}

interface Message {
  readonly name: string;
  readonly body: Uint8Array;
  readonly contentType: JobDelivery["contentType"];
  readonly subject: string;
  readonly end: (end: MessageEnd) => void;
  attempt: number;
  lease: Lease | undefined;
}

interface Lease {
  readonly id: string;
  readonly consumer: Consumer;
  timer: NodeJS.Timeout;
}

interface Consumer {
  readonly workerId: string;
  readonly leaseMs: number;
  readonly prefetch: number;
  readonly sink: LeaseSink;
  isOpen: boolean;
  /** Deliveries the sink has not taken yet */
  inHand: number;
}

/** Answers that are remembered, so that one that is given twice is no error */
const rememberedAnswers = 10_000;

class MemoryBroker implements MemoryQueue {
  readonly #waiting: Message[] = [];
  readonly #leased = new Map<string, Message>();
  readonly #answered = new Set<string>();
  readonly #consumers = new Set<Consumer>();
  readonly #listeners = new Set<(event: JobEvent) => void>();
  readonly #delayed = new Map<Message, NodeJS.Timeout>();
  #nextLease = 0;
  #turn = 0;

  get waitingCount(): number {
    return this.#waiting.length + this.#delayed.size;
  }
  get leasedCount(): number {
    return this.#leased.size;
  }

  send(document: object | string | Uint8Array, options: SendOptions = {}): SentMessage {
    const { contentType = "application/json", subject = "local:memory" } = options;
    const { promise, resolve } = Promise.withResolvers<MessageEnd>();
    const message: Message = {
      name: createJobId(),
      body: toBytes(document),
      contentType,
      subject,
      end: resolve,
      attempt: 1,
      lease: undefined,
    };
    this.#waiting.push(message);
    this.#dispatch();
    return { name: message.name, ended: promise };
  }

  cancel(jobId: string, reason?: string): void {
    for (const { sink } of this.#consumers) {
      sink.cancel({ jobId, ...(reason !== undefined && { reason }) });
    }
  }

  onEvent(listener: (event: JobEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(event: JobEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Opens a consumer and delivers what an earlier one of the same worker still holds. */
  async open(consumer: Consumer): Promise<void> {
    for (const { workerId, isOpen } of this.#consumers) {
      if (isOpen && workerId === consumer.workerId) {
        throw new LongshoreError(
          "WORKER_ID_IN_USE",
          `"${workerId}" leases from this queue already.`,
          {
            details: { workerId },
          },
        );
      }
    }
    const left = [...this.#leased.values()].filter(
      ({ lease }) => lease?.consumer.workerId === consumer.workerId,
    );
    this.#consumers.add(consumer);
    await Promise.all(
      left.map(async (message) => {
        this.#unlease(message);
        await this.#deliver(message, consumer);
      }),
    );
    this.#dispatch();
  }

  close(consumer: Consumer): void {
    this.pause(consumer);
    this.#consumers.delete(consumer);
  }

  pause(consumer: Consumer): void {
    consumer.isOpen = false;
  }

  ack(leaseId: string, result: JobResult): void {
    if (this.#answered.has(leaseId)) return;
    const message = this.#messageOf(leaseId);
    this.#unlease(message);
    this.#answered.add(leaseId);
    if (this.#answered.size > rememberedAnswers) {
      for (const oldest of this.#answered) {
        this.#answered.delete(oldest);
        break;
      }
    }
    message.end({ kind: "answered", result });
  }

  nack(
    leaseId: string,
    error: JobError,
    { requeue, delayMs = 0, countAttempt = true }: Parameters<JobTransport["nack"]>[2],
  ): void {
    const message = this.#messageOf(leaseId);
    this.#unlease(message);
    if (!requeue) {
      message.end({ kind: "dead", error });
      return;
    }
    message.attempt += Number(countAttempt);
    const timer = setTimeout(() => {
      this.#delayed.delete(message);
      this.#waiting.push(message);
      this.#dispatch();
    }, delayMs);
    this.#delayed.set(message, timer.unref());
  }

  extend(leaseId: string): void {
    this.#messageOf(leaseId).lease?.timer.refresh();
  }

  #messageOf(leaseId: string): Message {
    const message = this.#leased.get(leaseId);
    if (message !== undefined) return message;
    throw new LongshoreError("LEASE_LOST", `The lease ${leaseId} is over.`, {
      details: { leaseId },
    });
  }

  #unlease(message: Message): void {
    const { lease } = message;
    if (lease === undefined) return;
    clearTimeout(lease.timer);
    this.#leased.delete(lease.id);
    message.lease = undefined;
  }

  /** Hands waiting messages to consumers with room, in turn. */
  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const free = [...this.#consumers].filter(
        ({ isOpen, inHand, prefetch }) => isOpen && inHand < prefetch,
      );
      const consumer = free[this.#turn % free.length];
      const message = consumer === undefined ? undefined : this.#waiting.shift();
      if (consumer === undefined || message === undefined) return;
      this.#turn += 1;
      void this.#deliver(message, consumer);
    }
  }

  async #deliver(message: Message, consumer: Consumer): Promise<void> {
    this.#nextLease += 1;
    const id = `lease-${this.#nextLease}`;
    const timer = setTimeout(() => {
      this.#expire(message, consumer);
    }, consumer.leaseMs).unref();
    message.lease = { id, consumer, timer };
    this.#leased.set(id, message);
    consumer.inHand += 1;
    const { name, body, contentType, subject, attempt } = message;
    await consumer.sink.deliver({ leaseId: id, name, body, contentType, subject, attempt });
    consumer.inHand -= 1;
    this.#dispatch();
  }

  #expire(message: Message, consumer: Consumer): void {
    const { lease } = message;
    if (lease === undefined) return;
    this.#unlease(message);
    consumer.sink.lost(lease.id);
    message.attempt += 1;
    this.#waiting.push(message);
    this.#dispatch();
  }
}

/** A queue that several memory transports, each of a worker of its own, can share. */
export function memoryQueue(): MemoryQueue {
  return new MemoryBroker();
}

export function memoryTransport(options: MemoryTransportOptions = {}): MemoryTransport {
  const { name = "memory", leaseMs = 60_000, prefetch = 64 } = options;
  const queue = options.queue ?? new MemoryBroker();
  if (!(queue instanceof MemoryBroker)) throw new TypeError("queue was not made by memoryQueue");
  let consumer: Consumer | undefined;

  /** Errors of the queue as rejections. */
  async function act(call: () => void): Promise<void> {
    call();
  }

  return {
    name,
    leaseMs,
    queue,
    async start(sink, { workerId, signal }) {
      signal?.throwIfAborted();
      const opening: Consumer = { workerId, leaseMs, prefetch, sink, isOpen: true, inHand: 0 };
      await queue.open(opening);
      consumer = opening;
    },
    pause: () =>
      act(() => {
        if (consumer !== undefined) queue.pause(consumer);
      }),
    ack: (leaseId, result) =>
      act(() => {
        queue.ack(leaseId, result);
      }),
    nack: (leaseId, error, nackOptions) =>
      act(() => {
        queue.nack(leaseId, error, nackOptions);
      }),
    extend: (leaseId) =>
      act(() => {
        queue.extend(leaseId);
      }),
    publishEvent(_leaseId, event) {
      try {
        queue.publish(event);
      } catch (error) {
        // A sender's listener must not harm the worker.
        process.emitWarning(toJobError(error).message);
      }
    },
    health: () => Promise.resolve({ status: "ok" }),
    [Symbol.asyncDispose]: () =>
      act(() => {
        if (consumer !== undefined) queue.close(consumer);
        consumer = undefined;
      }),
  };
}

function toBytes(document: object | string | Uint8Array): Uint8Array {
  if (document instanceof Uint8Array) return document;
  return Buffer.from(typeof document === "string" ? document : JSON.stringify(document));
}
