/** Random numbers that a seed decides. */
export interface Random {
  /** In [0, 1) */
  next(): number;
  /** Whole, from 0 up to but without the limit */
  below(limit: number): number;
  pick<T>(choices: readonly [T, ...T[]] | readonly T[]): T;
}

/** Mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed;
  function next(): number {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    next,
    below,
    pick(choices) {
      const choice = choices[below(choices.length)];
      if (choice === undefined) throw new RangeError("there is nothing to choose from");
      return choice;
    },
  };
}
