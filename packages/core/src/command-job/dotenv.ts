import { LongshoreError } from "../errors/longshore-error.ts";

/**
 * One `KEY='value'` per line, sorted; nested names are joined by dots. Quotes and newlines survive a shell.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for a name or value that a shell would read as something else
 */
export function formatDotenv(data: unknown): string {
  return [...flatten(data)]
    .toSorted(([a], [b]) => (a < b ? -1 : Number(a > b)))
    .map(([key, value]) => {
      // A shell runs what it reads: a name may not hold anything but a name.
      if (!/^[\w.-]+$/.test(key)) throw invalid(key, "is no name for a variable");
      return `${key}='${value.replaceAll("'", String.raw`'\''`)}'\n`;
    })
    .join("");
}

/**
 * Every value in the data by its dotted name.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` when the data is no object, or two values have one name
 */
export function flatten(data: unknown): ReadonlyMap<string, string> {
  if (typeof data !== "object" || data === null) throw invalid("", "must be an object");
  const values = new Map<string, string>();
  for (const [path, value] of leaves(data, "")) {
    if (values.has(path)) throw invalid(path, "is there twice");
    if (value.includes("\0")) throw invalid(path, "must not contain NUL");
    values.set(path, value);
  }
  return values;
}

function* leaves(data: object, prefix: string): Generator<readonly [string, string]> {
  for (const [key, value] of Object.entries(data) as readonly (readonly [string, unknown])[]) {
    if (typeof value === "object" && value !== null) yield* leaves(value, `${prefix}${key}.`);
    else yield [`${prefix}${key}`, scalarText(value)];
  }
}

function scalarText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function invalid(path: string, message: string): LongshoreError {
  const full = path === "" ? "payload.data" : `payload.data.${path}`;
  return new LongshoreError("VALIDATION_ERROR", `${JSON.stringify(full)} ${message}`, {
    phase: "validation",
    details: { issues: [{ path: full, code: "custom", message }] },
  });
}
