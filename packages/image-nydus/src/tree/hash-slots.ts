import { randomInt } from "node:crypto";

/**
 * Finds numbers by hashes of what they stand for: open addressing. A search looks at the numbers from `first` on, one after
 * the other, until it meets the one it is for or an empty slot.
 */
export class HashSlots {
  readonly #hashOf: (number: number) => number;
  // Nobody can make things of which they know that their hashes are alike.
  readonly #factor = randomInt(2 ** 31) * 2 + 1;
  /** Numbers, counted from 1; 0 is empty */
  #slots = new Uint32Array(1_024);
  #used = 0;

  /** @param hashOf what {@link mix} made of what a number stands for */
  constructor(hashOf: (number: number) => number) {
    this.#hashOf = hashOf;
  }

  /** Takes 32 more bits into a hash, which begins with 0. */
  mix(hash: number, value: number): number {
    const mixed = Math.imul(hash ^ value, this.#factor);
    return mixed ^ (mixed >>> 15);
  }

  /** The slot where a search begins. */
  first(hash: number): number {
    return hash & (this.#slots.length - 1);
  }

  next(slot: number): number {
    return (slot + 1) & (this.#slots.length - 1);
  }

  /** The number in a slot; -1 when it is empty. */
  at(slot: number): number {
    return (this.#slots[slot] ?? 0) - 1;
  }

  /** Puts in a number that is not there. */
  add(number: number): void {
    if (this.#used * 4 >= this.#slots.length * 3) this.#grow();
    this.#used += 1;
    this.#put(number);
  }

  #put(number: number): void {
    let slot = this.first(this.#hashOf(number));
    while (this.#slots[slot] !== 0) slot = this.next(slot);
    this.#slots[slot] = number + 1;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    for (const taken of before) if (taken !== 0) this.#put(taken - 1);
  }
}
