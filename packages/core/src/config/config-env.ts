/** Short environment variables by the key they set, best first; the rest is said with `LONGSHORE__A__B`. */
const shortNames: readonly (readonly [key: string, variables: readonly string[]])[] = [
  ["home", ["LONGSHORE_HOME"]],
  ["log_level", ["LONGSHORE_LOG_LEVEL"]],
  ["worker.id", ["LONGSHORE_WORKER_ID", "WORKER_ID", "ATTUNE_WORKER_NAME"]],
  ["worker.pool", ["LONGSHORE_WORKER_POOL", "WORKER_POOL"]],
  ["worker.max_concurrent_jobs", ["LONGSHORE_MAX_CONCURRENT_JOBS", "MAX_CONCURRENT_JOBS"]],
];
const prefixes = ["LONGSHORE__", "WORKER__"];
const maxVariables = 200;

/** One key that the environment sets. */
export interface EnvOverride {
  /** Path in the configuration, e.g. `["worker", "pool"]` */
  readonly path: readonly string[];
  readonly value: unknown;
  readonly variable: string;
}

/**
 * What the environment says: `LONGSHORE_HOME`-like short names, and `LONGSHORE__WORKER__POOL` for any key. A blank
 * variable counts as unset. Values are read as YAML would: numbers and booleans are no strings.
 */
export function overridesFromEnv(
  env: Readonly<Record<string, string | undefined>>,
): readonly EnvOverride[] {
  const overrides: EnvOverride[] = [];
  for (const [variable, text] of Object.entries(env)) {
    const prefix = prefixes.find((candidate) => variable.startsWith(candidate));
    if (prefix === undefined || text === undefined || text.trim() === "") continue;
    // WORKER__POOL is worker.pool; LONGSHORE__WORKER__POOL is too.
    const rest = prefix === "WORKER__" ? variable : variable.slice(prefix.length);
    const path = rest.toLowerCase().split("__");
    if (path.some((part) => part === "" || part === "__proto__")) continue;
    if (overrides.length < maxVariables) overrides.push({ path, value: toValue(text), variable });
  }
  for (const [key, variables] of shortNames) {
    const variable = variables.find((name) => (env[name] ?? "").trim() !== "");
    if (variable === undefined) continue;
    const text = env[variable] ?? "";
    const isText = key === "home" || key === "worker.id" || key === "worker.pool";
    overrides.push({ path: key.split("."), value: isText ? text : toValue(text), variable });
  }
  return overrides;
}

function toValue(text: string): unknown {
  const trimmed = text.trim();
  if (trimmed === "true" || trimmed === "false") return trimmed === "true";
  if (/^-?\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed);
  if (/^[[{]/.test(trimmed)) {
    try {
      return JSON.parse(trimmed) as unknown;
    } catch {
      // Not JSON after all: the schema says what was expected.
      return trimmed;
    }
  }
  return trimmed;
}
