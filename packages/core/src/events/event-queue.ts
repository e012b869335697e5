import type { EventEnvelope, OverflowPolicy } from "./event-bus.ts";

/** Events that `block` takes beyond its capacity, from publishers that wait for room or ought to. */
const maxOverfill = 10_000;
const firstSlots = 8;

/** A bounded queue of events for one subscriber: a ring that grows up to its bound. */
export class EventQueue {
  readonly #capacity: number;
  readonly #overflow: OverflowPolicy;
  readonly #onDrop: (() => void) | undefined;
  #slots: (EventEnvelope | undefined)[] = [];
  #first = 0;
  #size = 0;
  #droppedCount = 0;
  #waiting: (() => void)[] = [];

  /** @throws {RangeError} for a capacity that is not a whole number of 1 or more */
  constructor(capacity: number, overflow: OverflowPolicy, onDrop?: () => void) {
    if (!Number.isSafeInteger(capacity) || capacity < 1) {
      throw new RangeError(`queueCapacity must be 1 or more, got ${capacity}`);
    }
    this.#capacity = capacity;
    this.#overflow = overflow;
    this.#onDrop = onDrop;
  }

  get size(): number {
    return this.#size;
  }

  get droppedCount(): number {
    return this.#droppedCount;
  }

  /**
   * Puts an event in. With `block` a full queue takes it too, for {@link room} tells the publisher to wait; publishers
   * that do not wait cannot grow it without end, though.
   */
  push(event: EventEnvelope): void {
    if (this.#size >= this.#capacity && !this.#makeRoom()) return;
    if (this.#size === this.#slots.length) this.#grow();
    const slots = this.#slots;
    slots[(this.#first + this.#size) & (slots.length - 1)] = event;
    this.#size += 1;
  }

  shift(): EventEnvelope | undefined {
    if (this.#size === 0) return undefined;
    const slots = this.#slots;
    const first = this.#first;
    const event = slots[first];
    slots[first] = undefined;
    this.#first = (first + 1) & (slots.length - 1);
    this.#size -= 1;
    if (this.#waiting.length > 0 && this.#size < this.#capacity) this.release();
    return event;
  }

  /** Drops what waits, without counting it: nobody will take it any more. */
  clear(): void {
    this.#slots = [];
    this.#first = 0;
    this.#size = 0;
  }

  /** A promise to wait for before publishing more; `undefined` when there is room. */
  room(): Promise<void> | undefined {
    if (this.#overflow !== "block" || this.#size < this.#capacity) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Lets every publisher go on that waits for room. */
  release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Says whether the new event may go in although the queue is full. */
  #makeRoom(): boolean {
    switch (this.#overflow) {
      case "block":
        if (this.#size < this.#capacity + maxOverfill) return true;
        break;
      case "drop_oldest":
        this.shift();
        this.#countDrop();
        return true;
      case "drop_newest":
        break;
      default:
        return this.#overflow satisfies never;
    }
    this.#countDrop();
    return false;
  }

  #countDrop(): void {
    this.#droppedCount += 1;
    this.#onDrop?.();
  }

  /** The number of slots stays a power of two, so that a place wraps around by a mask. */
  #grow(): void {
    const slots = this.#slots.slice(this.#first).concat(this.#slots.slice(0, this.#first));
    const oldLength = slots.length;
    slots.length = Math.max(firstSlots, oldLength * 2);
    this.#slots = slots.fill(undefined, oldLength);
    this.#first = 0;
  }
}
