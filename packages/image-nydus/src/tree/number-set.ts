/** A set of numbers that begin near 0, in one bit each. */
export class NumberSet {
  #bits = new Uint8Array(1_024);

  has(number: number): boolean {
    return ((this.#bits[number >>> 3] ?? 0) & (1 << (number & 7))) !== 0;
  }

  add(number: number): void {
    const at = number >>> 3;
    if (at >= this.#bits.length) {
      const bits = new Uint8Array(2 * at);
      bits.set(this.#bits);
      this.#bits = bits;
    }
    this.#bits[at] = (this.#bits[at] ?? 0) | (1 << (number & 7));
  }
}
