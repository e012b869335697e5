/** Deepest nesting of a document, counted in objects and lists around a value. */
export const maxJsonDepth = 64;

/** Why a value is not JSON that is safe to take in. */
export interface JsonProblem {
  readonly kind: "too_deep" | "too_large" | "not_json" | "forbidden_key";
  /** Keys and places that lead to it, outermost first */
  readonly path: readonly (string | number)[];
  /** What was expected, or what is wrong */
  readonly message: string;
}

export interface JsonLimits {
  /** @default 64 */
  readonly maxDepth?: number | undefined;
  /**
   * Most characters of keys and strings, and one for every other value: less than the size of the JSON text. It bounds
   * what is written once and referred to many times. @default Infinity
   */
  readonly maxSize?: number | undefined;
}

interface Walk {
  readonly maxDepth: number;
  sizeLeft: number;
}

/**
 * The first thing that keeps a value from being JSON: something JSON would lose or change on the way (a function, a
 * `Date`, a bigint, `NaN`, `undefined` in a list), a circle or too deep nesting, or a key named `__proto__`, which turns
 * into the prototype of an object it is copied to. `undefined` when all is well.
 *
 * Members that are `undefined` are fine: they count as absent, as they do for `JSON.stringify`.
 */
export function jsonProblem(value: unknown, limits: JsonLimits = {}): JsonProblem | undefined {
  const { maxDepth = maxJsonDepth, maxSize = Infinity } = limits;
  return visit(value, maxDepth, { maxDepth, sizeLeft: maxSize });
}

function visit(value: unknown, depthLeft: number, walk: Walk): JsonProblem | undefined {
  walk.sizeLeft -= typeof value === "string" ? value.length : 1;
  if (walk.sizeLeft < 0) return problem("too_large", "is too large");
  if (value === null || typeof value === "string" || typeof value === "boolean") return undefined;
  if (typeof value === "object") return visitObject(value, depthLeft, walk);
  if (typeof value !== "number") {
    return problem("not_json", `expected JSON, received ${typeof value}`);
  }
  return Number.isFinite(value) ? undefined : problem("not_json", "must be a finite number");
}

function visitObject(value: object, depthLeft: number, walk: Walk): JsonProblem | undefined {
  if (depthLeft === 0) {
    return problem("too_deep", `is nested deeper than ${walk.maxDepth} levels`);
  }
  if (Array.isArray(value)) {
    // By number, for a list with holes has fewer entries than places.
    for (let place = 0; place < value.length; place += 1) {
      const found = visit(value[place], depthLeft - 1, walk);
      if (found !== undefined) return below(place, found);
    }
    return undefined;
  }
  if (!isPlain(value)) {
    return problem("not_json", `expected JSON, received ${kindOf(value)}`);
  }
  for (const key of Object.keys(value)) {
    if (key === "__proto__") {
      return below(key, problem("forbidden_key", "is not allowed as a key"));
    }
    const member: unknown = (value as Record<string, unknown>)[key];
    if (member === undefined) continue;
    walk.sizeLeft -= key.length;
    const found = visit(member, depthLeft - 1, walk);
    if (found !== undefined) return below(key, found);
  }
  return undefined;
}

/** Also for objects of another realm, whose `Object.prototype` is another one. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return (
    (prototype === null ||
      prototype === Object.prototype ||
      (typeof prototype === "object" && Object.getPrototypeOf(prototype) === null)) &&
    !("toJSON" in value && typeof value.toJSON === "function")
  );
}

function kindOf(value: object): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

function problem(kind: JsonProblem["kind"], message: string): JsonProblem {
  return { kind, path: [], message };
}

function below(key: string | number, { kind, path, message }: JsonProblem): JsonProblem {
  return { kind, path: [key, ...path], message };
}
