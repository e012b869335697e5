import { randomInt } from "node:crypto";

/**
 * Finds numbers by hashes of what they stand for: open addressing. A search looks at the slots from that of the hash on, one
 * after the other, until it meets what it is for or an empty one.
 */
export class HashSlots {
  // Nobody can make things of which they know that their hashes are alike.
  readonly #factor = randomInt(2 ** 31) * 2 + 1;
  /** By slot: a number, counted from 1, and its hash. A 0 is an empty slot. */
  #slots = new Uint32Array(2_048);
  #used = 0;

  /** Takes 32 more bits into a hash, which begins with 0. */
  mix(hash: number, value: number): number {
    const mixed = Math.imul(hash ^ value, this.#factor);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }

  /**
   * The number with that hash that `isIt` is true of.
   *
   * @param isIt called for one number after the other that has the hash, until it is true
   */
  find(hash: number, isIt: (number: number) => boolean): number | undefined {
    for (let slot = this.#first(hash); ; slot = this.#next(slot)) {
      const number = this.#slots[2 * slot] ?? 0;
      if (number === 0) return undefined;
      if (this.#slots[2 * slot + 1] === hash && isIt(number - 1)) return number - 1;
    }
  }

  /** Puts in a number that is not there. */
  add(number: number, hash: number): void {
    if (this.#used * 8 >= this.#slots.length * 3) this.#grow();
    this.#used += 1;
    this.#put(number, hash);
  }

  /** Gives the memory back; nothing is found from here on. */
  clear(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(2);
    free(before);
  }

  #first(hash: number): number {
    return hash & (this.#slots.length / 2 - 1);
  }

  #next(slot: number): number {
    return (slot + 1) & (this.#slots.length / 2 - 1);
  }

  #put(number: number, hash: number): void {
    let slot = this.#first(hash);
    while (this.#slots[2 * slot] !== 0) slot = this.#next(slot);
    this.#slots[2 * slot] = number + 1;
    this.#slots[2 * slot + 1] = hash;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    for (let at = 0; at < before.length; at += 2) {
      const number = before[at] ?? 0;
      if (number !== 0) this.#put(number - 1, before[at + 1] ?? 0);
    }
    free(before);
  }
}

/** Gives memory back now: a collection of garbage, which would find it, may be far off. */
function free({ buffer }: Uint32Array<ArrayBuffer>): void {
  buffer.transfer(0);
}
