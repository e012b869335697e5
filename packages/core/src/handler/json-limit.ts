import { LongshoreError } from "../errors/longshore-error.ts";

/** What `maxResultBytes` is when nobody says. */
export const defaultMaxResultBytes = 8_388_608;

export interface JsonLimit {
  /** What the value is, as the subject of an error's sentence */
  readonly what: string;
  readonly maxBytes: number;
}

/**
 * The value as JSON text, of bounded size.
 *
 * @throws {LongshoreError} `SERIALIZATION_ERROR` for what JSON cannot hold, `LIMIT_EXCEEDED`
 */
export function toBoundedJson(value: unknown, { what, maxBytes }: JsonLimit): string {
  const text = toJson(value, what);
  // Counting bytes is only needed when the characters alone do not decide.
  const byteLength = text.length * 3 <= maxBytes ? 0 : Buffer.byteLength(text);
  if (byteLength <= maxBytes) return text;
  throw new LongshoreError(
    "LIMIT_EXCEEDED",
    `${what} has ${byteLength} bytes as JSON; ${maxBytes} are allowed.`,
    { phase: "result", details: { byteLength, maxBytes } },
  );
}

function toJson(value: unknown, what: string): string {
  let cause: unknown;
  try {
    const text: unknown = JSON.stringify(value);
    if (typeof text === "string") return text;
  } catch (error) {
    cause = error;
  }
  throw new LongshoreError("SERIALIZATION_ERROR", `${what} is not JSON.`, {
    phase: "result",
    cause,
  });
}
