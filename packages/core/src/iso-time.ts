const milliseconds: readonly string[] = Array.from(
  { length: 1_000 },
  (_, value) => `${String(value).padStart(3, "0")}Z`,
);

let lastSecond = Number.NaN;
let lastPrefix = "";

/**
 * The RFC 3339 text of a time in milliseconds since 1970, as `Date.toISOString` writes it. A job has a dozen of them, most
 * of one second: what they share is written once.
 *
 * @throws {RangeError} for what is not a time
 */
export function isoTime(timeMs: number): string {
  const second = Math.floor(timeMs / 1_000);
  if (second !== lastSecond) {
    lastPrefix = new Date(second * 1_000).toISOString().slice(0, -"000Z".length);
    lastSecond = second;
  }
  return lastPrefix + (milliseconds[Math.trunc(timeMs - second * 1_000)] ?? "");
}
