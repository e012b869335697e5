import { z } from "zod";
import { invalidFields } from "./invalid-fields.ts";

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };
const maxWaitMs = 300_000;

/** A time to wait, in milliseconds: `30s`, `500ms`, `1m`, or seconds; at most five minutes. */
export const waitTime: z.ZodType<number, string> = z
  .string()
  .regex(/^\d{1,6}(ms|s|m)?$/, "expected a time like 30s, 500ms or 1m")
  .transform((text) => {
    const unit = /[ms]+$/.exec(text)?.[0] ?? "s";
    return Number.parseInt(text, 10) * (unitsMs[unit] ?? 1_000);
  })
  .refine((waitMs) => waitMs <= maxWaitMs, "at most five minutes");

export const flag: z.ZodType<boolean, string> = z
  .enum(["true", "false", "1", "0", ""], "expected true or false")
  .transform((text) => text !== "false" && text !== "0");

export function count(max: number): z.ZodType<number, string> {
  return z
    .string()
    .regex(/^\d{1,7}$/, "expected a whole number")
    .transform(Number)
    .refine((number) => number >= 1 && number <= max, `expected 1 to ${max}`);
}

/**
 * The parameters of a query that a route knows; others are left alone. One that comes more than once is a list.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` with `details.issues`
 */
export function parseQuery<Schema extends z.ZodObject>(
  schema: Schema,
  query: URLSearchParams,
): z.infer<Schema> {
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(schema.shape)) {
    const all = query.getAll(name);
    if (all.length > 0) values[name] = all.length === 1 ? all[0] : all;
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  throw invalidFields(parsed.error);
}
