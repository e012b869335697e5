import { z } from "zod";
import { configSchema } from "./config-schema.ts";

/** Short environment variables by the key they set, best first; the rest is said with `LONGSHORE__A__B`. */
const shortNames: readonly (readonly [key: string, variables: readonly string[]])[] = [
  ["home", ["LONGSHORE_HOME"]],
  ["log_level", ["LONGSHORE_LOG_LEVEL"]],
  ["worker.id", ["LONGSHORE_WORKER_ID", "WORKER_ID", "ATTUNE_WORKER_NAME"]],
  ["worker.pool", ["LONGSHORE_WORKER_POOL", "WORKER_POOL"]],
  ["worker.max_concurrent_jobs", ["LONGSHORE_MAX_CONCURRENT_JOBS", "MAX_CONCURRENT_JOBS"]],
];
/** What a variable with a path starts with, weakest first, and what of it is no part of the path. */
const prefixes: readonly (readonly [prefix: string, skipped: number])[] = [
  ["WORKER__", 0],
  ["LONGSHORE__", "LONGSHORE__".length],
];

/** One key that the environment sets. */
export interface EnvOverride {
  /** Path in the configuration, e.g. `["worker", "pool"]` */
  readonly path: readonly string[];
  readonly value: unknown;
  readonly variable: string;
}

/**
 * What the environment says, weakest first: `WORKER__POOL` and `LONGSHORE__WORKER__POOL` for any key, then short names such
 * as `LONGSHORE_HOME`. A blank variable counts as unset. A value is text where the configuration wants text; else it is
 * read as JSON, where it is some.
 */
export function overridesFromEnv(
  env: Readonly<Record<string, string | undefined>>,
): readonly EnvOverride[] {
  const overrides: EnvOverride[] = [];
  const add = (path: readonly string[], variable: string): void => {
    const text = (env[variable] ?? "").trim();
    if (text === "") return;
    overrides.push({ path, value: isText(path) ? text : toValue(text), variable });
  };
  for (const [prefix, skipped] of prefixes) {
    for (const variable of Object.keys(env)) {
      if (variable.startsWith(prefix)) {
        add(variable.slice(skipped).toLowerCase().split("__"), variable);
      }
    }
  }
  for (const [key, variables] of shortNames) {
    const variable = variables.find((name) => (env[name] ?? "").trim() !== "");
    if (variable !== undefined) add(key.split("."), variable);
  }
  return overrides;
}

function isText(path: readonly string[]): boolean {
  let level: z.core.$ZodType | undefined = configSchema;
  for (const key of path) level = level === undefined ? undefined : inside(level, key);
  const leaf = level === undefined ? undefined : unwrapped(level);
  return leaf instanceof z.ZodString || leaf instanceof z.ZodEnum;
}

function inside(schema: z.core.$ZodType, key: string): z.core.$ZodType | undefined {
  const inner = unwrapped(schema);
  if (inner instanceof z.ZodRecord) return inner.valueType;
  if (!(inner instanceof z.ZodObject)) return undefined;
  return Object.hasOwn(inner.shape, key) ? inner.shape[key] : undefined;
}

function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  const isWrapper =
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault;
  return isWrapper ? unwrapped(schema.unwrap()) : schema;
}

function toValue(text: string): unknown {
  if (!/^(?:true|false|-?\d|["[{])/.test(text)) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Not JSON after all: the schema says what was expected.
    return text;
  }
}
