import { LongshoreError } from "@longshore/core";

const factors: Readonly<Record<string, number>> = {
  "": 1,
  k: 1_024,
  m: 1_048_576,
  g: 1_073_741_824,
  t: 1_099_511_627_776,
};

/**
 * Bytes from a text like `512m`, `1.5g` or `64MiB`; the units are powers of 1,024.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` naming the flag
 */
export function parseBytes(flag: string, text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,6})?)\s?([kmgt]?)(?:i?b)?$/.exec(text.toLowerCase());
  const [, amount, unit = ""] = match ?? [];
  const bytes = Math.round(Number(amount) * (factors[unit] ?? Number.NaN));
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `${flag} takes a size like 512m or 2g, not ${JSON.stringify(text.slice(0, 50))}.`,
    { details: { field: flag, expected: "a size like 512m or 2g" } },
  );
}
