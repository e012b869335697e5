import canonicalize from "canonicalize";
import { LongshoreError } from "../errors/longshore-error.ts";

const maxDepth = 64;

/**
 * The one text of a JSON value (RFC 8785), the same on every machine and in every language. Stricter than
 * `JSON.stringify`: what is not JSON is refused instead of left out or replaced, so that nothing is signed that the
 * reader would not see.
 *
 * @throws {LongshoreError} `SERIALIZATION_ERROR` for `undefined`, `NaN`, infinities, lone surrogates, objects with a
 *   prototype such as dates, cycles, and nesting deeper than 64 levels
 */
export function canonicalJson(value: unknown): string {
  assertJson(value, "$", 0);
  try {
    const text = canonicalize(value);
    if (text !== undefined) return text;
  } catch (error) {
    throw notJson("$", error);
  }
  throw notJson("$");
}

function assertJson(value: unknown, path: string, depth: number): void {
  const isJson =
    value === null ||
    typeof value === "boolean" ||
    (typeof value === "string" && value.isWellFormed()) ||
    (typeof value === "number" && Number.isFinite(value));
  if (isJson) return;
  if (typeof value !== "object") throw notJson(path);
  assertContainer(value, path, depth);
}

function assertContainer(value: object, path: string, depth: number): void {
  if (depth === maxDepth) throw notJson(path);
  if (Array.isArray(value)) {
    // By number, for an array with holes has fewer entries than places.
    for (let place = 0; place < value.length; place += 1) {
      assertJson(value[place], `${path}[${place}]`, depth + 1);
    }
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw notJson(path);
  // A function of this name would be called in place of the value.
  if ("toJSON" in value && typeof value.toJSON === "function") throw notJson(path);
  for (const [key, member] of Object.entries(value)) {
    if (!key.isWellFormed()) throw notJson(path);
    assertJson(member, `${path}.${key}`, depth + 1);
  }
}

function notJson(path: string, cause?: unknown): LongshoreError {
  const shown = path.slice(0, 200);
  return new LongshoreError("SERIALIZATION_ERROR", `The value at ${shown} is not JSON.`, {
    cause,
    details: { path: shown },
  });
}
