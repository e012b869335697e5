import type { EventEnvelope, OverflowPolicy } from "./event-bus.ts";

/** A bounded queue of events for one subscriber. */
export class EventQueue {
  readonly #capacity: number;
  readonly #overflow: OverflowPolicy;
  #events: EventEnvelope[] = [];
  /** Events before this place have been taken */
  #first = 0;
  #droppedCount = 0;
  #waiting: (() => void)[] = [];

  constructor(capacity: number, overflow: OverflowPolicy) {
    if (!Number.isSafeInteger(capacity) || capacity < 1) {
      throw new RangeError(`queueCapacity must be 1 or more, got ${capacity}`);
    }
    this.#capacity = capacity;
    this.#overflow = overflow;
  }

  get size(): number {
    return this.#events.length - this.#first;
  }

  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** Puts an event in. With `block` it goes in anyway; {@link room} then tells the publisher when to go on. */
  push(event: EventEnvelope): void {
    if (this.size >= this.#capacity && this.#overflow !== "block") {
      this.#droppedCount += 1;
      if (this.#overflow === "drop_newest") return;
      this.#first += 1;
    }
    this.#events.push(event);
    if (this.#first > this.#capacity) this.#compact();
  }

  shift(): EventEnvelope | undefined {
    const event = this.#events[this.#first];
    if (event === undefined) return undefined;
    this.#first += 1;
    if (this.#first === this.#events.length) {
      this.#events = [];
      this.#first = 0;
    }
    if (this.#waiting.length > 0 && this.size < this.#capacity) this.release();
    return event;
  }

  /** A promise to wait for before publishing more; `undefined` when there is room. */
  room(): Promise<void> | undefined {
    if (this.#overflow !== "block" || this.size < this.#capacity) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Lets every publisher go on that waits for room. */
  release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #compact(): void {
    this.#events = this.#events.slice(this.#first);
    this.#first = 0;
  }
}
