import { LongshoreError } from "../errors/longshore-error.ts";

const maxPatterns = 256;

/** Part of a pattern: a test of one item, or any number of items. */
type Part<Item> = "any" | ((item: Item) => boolean);

/**
 * Whether a path is an artifact by these globs: `*` and `?` within a name, `[a-z]`, `[!a-z]`, `{a,b}`, `**` for any
 * directories; globs with a `!` in front take paths out.
 *
 * Globs come from a job, and so do the names they are matched with. That is why they do not become regular expressions,
 * which can take for ever: here the time grows with the length of the glob times the length of the path.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for globs with too many alternatives
 */
export function artifactMatcher(globs: readonly string[]): (path: string) => boolean {
  const wanted: (readonly Part<string>[])[] = [];
  const unwanted: (readonly Part<string>[])[] = [];
  for (const glob of globs) {
    const isNegative = glob.startsWith("!");
    for (const pattern of expandBraces(isNegative ? glob.slice(1) : glob)) {
      (isNegative ? unwanted : wanted).push(compilePath(pattern));
      if (wanted.length + unwanted.length > maxPatterns) throw tooMany(glob);
    }
  }
  return (path) => {
    const names = path.split("/");
    const isMatch = (pattern: readonly Part<string>[]): boolean => matchParts(pattern, names);
    return wanted.some(isMatch) && !unwanted.some(isMatch);
  };
}

/** Only the last `any` is ever tried again: what an earlier one could take, the last can take too. */
function matchParts<Item>(pattern: readonly Part<Item>[], items: readonly Item[]): boolean {
  let position = 0;
  let retryPart = -1;
  let retryItem = 0;
  for (let index = 0; index < items.length;) {
    const part = pattern[position];
    if (part === "any") {
      position += 1;
      retryPart = position;
      retryItem = index;
    } else if (part?.(items[index] as Item) === true) {
      position += 1;
      index += 1;
    } else if (retryPart !== -1) {
      position = retryPart;
      retryItem += 1;
      index = retryItem;
    } else {
      return false;
    }
  }
  while (pattern[position] === "any") position += 1;
  return position === pattern.length;
}

function compilePath(pattern: string): readonly Part<string>[] {
  const names = pattern.split("/");
  const parts = names.map((name) => (name === "**" ? "any" : compileName(name)));
  // At the end it stands for what is below a directory, not for the directory.
  return names.at(-1) === "**" ? [...parts, () => true] : parts;
}

function compileName(pattern: string): Part<string> {
  const parts: Part<string>[] = [];
  for (const [token] of pattern.matchAll(/\*+|\[[!^]?\]?[^\]]*\]|[^]/gu)) {
    if (token.startsWith("*")) parts.push("any");
    else if (token === "?") parts.push(() => true);
    else if (token.length > 2 && token.startsWith("["))
      parts.push(compileClass(token.slice(1, -1)));
    else parts.push((character) => character === token);
  }
  return (name) => matchParts(parts, Array.from(name));
}

function compileClass(content: string): (character: string) => boolean {
  const isNegative = /^[!^]/.test(content);
  const ranges = [...content.slice(isNegative ? 1 : 0).matchAll(/([^])-([^])|([^])/gu)].map(
    ([, from, to, single]) => [from ?? single ?? "", to ?? single ?? ""] as const,
  );
  return (character) =>
    ranges.some(([from, to]) => from <= character && character <= to) !== isNegative;
}

/** `a{b,c}` as `ab` and `ac`; braces without a comma are just braces. */
function expandBraces(pattern: string): readonly string[] {
  const done: string[] = [];
  const waiting = [pattern];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (waiting.length + done.length > maxPatterns) throw tooMany(pattern);
    const [whole, before = "", inside = "", after = ""] =
      /^(.*)\{([^{},]*,[^{}]*)\}(.*)$/s.exec(next) ?? [];
    if (whole === undefined) done.push(next);
    else waiting.push(...inside.split(",").map((choice) => `${before}${choice}${after}`));
  }
  return done;
}

function tooMany(glob: string): LongshoreError {
  const message = `has more than ${maxPatterns} alternatives`;
  return new LongshoreError("VALIDATION_ERROR", `runtime.output.artifacts: "${glob}" ${message}`, {
    phase: "validation",
    details: { issues: [{ path: "runtime.output.artifacts", code: "too_big", message }] },
  });
}
