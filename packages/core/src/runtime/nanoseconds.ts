/**
 * A time span, or a time since 1970 (UTC), in nanoseconds.
 *
 * Of all 64-bit integers of the CRI only these are `bigint`: today's time in nanoseconds is 200 times larger than the
 * largest integer a `number` holds, and the processor time of a busy machine gets there within days. Sizes, counts and
 * ids stay far below it, so they are plain numbers.
 */
export type Nanoseconds = bigint;

const perMillisecond = 1_000_000n;

/** The time of a clock that counts milliseconds since 1970, for a CRI time field. */
export function nanosecondsFromMs(milliseconds: number): Nanoseconds {
  // Split first: milliseconds times a million would lose the last digits.
  const whole = Math.trunc(milliseconds);
  return BigInt(whole) * perMillisecond + BigInt(Math.round((milliseconds - whole) * 1e6));
}

/** A CRI time or span in milliseconds; fractions below a microsecond may get lost. */
export function nanosecondsToMs(nanoseconds: Nanoseconds): number {
  return Number(nanoseconds / perMillisecond) + Number(nanoseconds % perMillisecond) / 1e6;
}
