import { LongshoreError } from "../errors/longshore-error.ts";

interface Level<T> {
  /** By segment; `*` is a key like any other */
  readonly next: Map<string, Level<T>>;
  /** Patterns that end here */
  readonly here: Set<T>;
  /** Patterns that end here with `**` */
  readonly below: Set<T>;
}

/**
 * Finds the patterns that match a topic by walking its segments: the cost depends on the topic, not on how many
 * patterns there are.
 */
export class TopicIndex<T> {
  readonly #root: Level<T> = newLevel();

  /** @throws {LongshoreError} `VALIDATION_ERROR` */
  add(pattern: string, value: T): void {
    const { segments, isOpen } = parsePattern(pattern);
    let level = this.#root;
    for (const segment of segments) {
      let next = level.next.get(segment);
      if (next === undefined) {
        next = newLevel();
        level.next.set(segment, next);
      }
      level = next;
    }
    (isOpen ? level.below : level.here).add(value);
  }

  delete(pattern: string, value: T): void {
    const { segments, isOpen } = parsePattern(pattern);
    const path: [Level<T>, string][] = [];
    let level = this.#root;
    for (const segment of segments) {
      const next = level.next.get(segment);
      if (next === undefined) return;
      path.push([level, segment]);
      level = next;
    }
    (isOpen ? level.below : level.here).delete(value);
    for (let step = path.pop(); step !== undefined; step = path.pop()) {
      const [parent, segment] = step;
      if (level.next.size + level.here.size + level.below.size > 0) return;
      parent.next.delete(segment);
      level = parent;
    }
  }

  /** Calls `visit` once for each value whose pattern matches. */
  match(segments: readonly string[], visit: (value: T) => void): void {
    this.#walk(this.#root, segments, { depth: 0, visit });
  }

  #walk(
    level: Level<T>,
    segments: readonly string[],
    at: { readonly depth: number; readonly visit: (value: T) => void },
  ): void {
    const { depth, visit } = at;
    const segment = segments[depth];
    if (segment === undefined) {
      for (const value of level.here) visit(value);
      return;
    }
    for (const value of level.below) visit(value);
    if (level.next.size === 0) return;
    const deeper = { depth: depth + 1, visit };
    const exact = level.next.get(segment);
    if (exact !== undefined) this.#walk(exact, segments, deeper);
    const any = level.next.get("*");
    if (any !== undefined && segment !== "*") this.#walk(any, segments, deeper);
  }
}

function newLevel<T>(): Level<T> {
  return { next: new Map(), here: new Set(), below: new Set() };
}

const segmentPattern = /^([A-Za-z0-9_:@%-]{1,384}|\*)$/;

function parsePattern(pattern: string): { segments: readonly string[]; isOpen: boolean } {
  const segments = pattern.split(".");
  const isOpen = segments.at(-1) === "**";
  if (isOpen) segments.pop();
  if (segments.length <= 3 && segments.every((segment) => segmentPattern.test(segment))) {
    return { segments, isOpen };
  }
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `"${pattern.slice(0, 200)}" is not a pattern: up to three parts of a topic, "*" for any one, "**" at the end for the rest.`,
    { details: { pattern: pattern.slice(0, 200) } },
  );
}
