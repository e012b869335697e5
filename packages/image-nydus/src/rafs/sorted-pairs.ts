import { endianness } from "node:os";

/** Pairs of 32-bit numbers sorted by the first, then the second, in 8 bytes each. */
export interface SortedPairs {
  readonly size: number;
  first(position: number): number;
  second(position: number): number;
  /** Position of the first pair whose first number is not below this one; `size` when all are */
  lowerBound(first: number): number;
}

/** Makes and sorts `size` pairs; a million of them take 8 MB and a fifth of a second. */
export function sortedPairs(
  size: number,
  pair: (position: number) => readonly [first: number, second: number],
): SortedPairs {
  // One typed array seen twice: as halves to fill, and as whole numbers to sort without making objects of them.
  const whole = new BigUint64Array(size);
  const halves = new Uint32Array(whole.buffer);
  const high = endianness() === "LE" ? 1 : 0;
  for (let position = 0; position < size; position += 1) {
    const [first, second] = pair(position);
    halves[2 * position + high] = first;
    halves[2 * position + 1 - high] = second;
  }
  whole.sort();
  const first = (position: number): number => halves[2 * position + high] ?? 0;
  return {
    size,
    first,
    second: (position) => halves[2 * position + 1 - high] ?? 0,
    lowerBound(wanted) {
      let low = 0;
      let end = size;
      while (low < end) {
        const middle = (low + end) >>> 1;
        if (first(middle) < wanted) low = middle + 1;
        else end = middle;
      }
      return low;
    },
  };
}
