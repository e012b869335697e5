/**
 * Finds a subpath in the `exports` of a package manifest, the way Node's module documentation describes it.
 *
 * @param subpath `"."` or `"./name"`
 * @returns a path that starts with `"./"` and stays in the package, or `undefined`
 */
export function resolveExports(
  exports: unknown,
  subpath: string,
  conditions: ReadonlySet<string>,
): string | undefined {
  const subpaths = isSubpathMap(exports) ? exports : { ".": exports };
  const exact = subpath.includes("*") ? undefined : subpaths[subpath];
  if (exact !== undefined) return pickTarget(exact, "", conditions);
  const [best] = Object.keys(subpaths)
    .filter((pattern) => matchPattern(pattern, subpath) !== undefined)
    .toSorted((a, b) => b.indexOf("*") - a.indexOf("*") || b.length - a.length);
  if (best === undefined) return undefined;
  return pickTarget(subpaths[best], matchPattern(best, subpath) ?? "", conditions);
}

/** What the `*` of a pattern stands for. */
function matchPattern(pattern: string, subpath: string): string | undefined {
  const star = pattern.indexOf("*");
  if (star === -1) return undefined;
  const head = pattern.slice(0, star);
  const tail = pattern.slice(star + 1);
  if (!subpath.startsWith(head) || !subpath.endsWith(tail)) return undefined;
  if (subpath.length <= head.length + tail.length) return undefined;
  return subpath.slice(head.length, subpath.length - tail.length);
}

/** The first target whose conditions hold; `null` ends the search, as in Node. */
function pickTarget(
  target: unknown,
  star: string,
  conditions: ReadonlySet<string>,
): string | undefined {
  return asPath(search(target, conditions), star);
}

function search(target: unknown, conditions: ReadonlySet<string>): unknown {
  if (Array.isArray(target)) {
    for (const item of target) {
      const found = search(item, conditions);
      if (typeof found === "string" && found.startsWith("./")) return found;
    }
    return undefined;
  }
  if (typeof target !== "object" || target === null) return target;
  for (const [condition, inner] of Object.entries(target)) {
    if (!conditions.has(condition)) continue;
    const found = search(inner, conditions);
    if (found !== undefined) return found;
  }
  return undefined;
}

function asPath(target: unknown, star: string): string | undefined {
  if (typeof target !== "string" || !target.startsWith("./")) return undefined;
  const path = target.replaceAll("*", () => star);
  const isInside = path
    .slice(2)
    .split(/[/\\]|%2f|%5c/i)
    .every((part) => part !== ".." && part !== "." && part !== "node_modules");
  return isInside ? path : undefined;
}

function isSubpathMap(exports: unknown): exports is Record<string, unknown> {
  return (
    typeof exports === "object" &&
    exports !== null &&
    !Array.isArray(exports) &&
    Object.keys(exports).some((key) => key.startsWith("."))
  );
}
