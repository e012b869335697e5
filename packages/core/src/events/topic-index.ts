import { LongshoreError } from "../errors/longshore-error.ts";

interface Level<T> {
  /** By segment; `*` is a key like any other */
  readonly next: Map<string, Level<T>>;
  /** Of the pattern that ends here */
  here: T | undefined;
  /** Of the pattern that ends here with `**` */
  below: T | undefined;
}

interface Walk<T> {
  readonly segments: readonly string[];
  readonly found: T[];
}

/**
 * Finds the patterns that match a topic by walking its segments: the cost depends on the topic, not on how many
 * patterns there are. Holds one value for each pattern.
 */
export class TopicIndex<T> {
  readonly #root: Level<T> = newLevel();

  get(pattern: string): T | undefined {
    const { segments, isOpen } = parsePattern(pattern);
    let level: Level<T> | undefined = this.#root;
    for (const segment of segments) level = level?.next.get(segment);
    return isOpen ? level?.below : level?.here;
  }

  /** @throws {LongshoreError} `VALIDATION_ERROR` for a pattern that is not one */
  set(pattern: string, value: T): void {
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
    if (isOpen) level.below = value;
    else level.here = value;
  }

  delete(pattern: string): void {
    const { segments, isOpen } = parsePattern(pattern);
    const path: [Level<T>, string][] = [];
    let level = this.#root;
    for (const segment of segments) {
      const next = level.next.get(segment);
      if (next === undefined) return;
      path.push([level, segment]);
      level = next;
    }
    if (isOpen) level.below = undefined;
    else level.here = undefined;
    for (let step = path.pop(); step !== undefined; step = path.pop()) {
      if (level.next.size > 0 || level.here !== undefined || level.below !== undefined) return;
      const [parent, segment] = step;
      parent.next.delete(segment);
      level = parent;
    }
  }

  /** The value of each pattern that matches. */
  match(segments: readonly string[]): T[] {
    const found: T[] = [];
    walk(this.#root, 0, { segments, found });
    return found;
  }
}

function walk<T>(level: Level<T>, depth: number, query: Walk<T>): void {
  const segment = query.segments[depth];
  if (segment === undefined) {
    if (level.here !== undefined) query.found.push(level.here);
    return;
  }
  if (level.below !== undefined) query.found.push(level.below);
  if (level.next.size === 0) return;
  const exact = level.next.get(segment);
  if (exact !== undefined) walk(exact, depth + 1, query);
  const any = level.next.get("*");
  if (any !== undefined) walk(any, depth + 1, query);
}

function newLevel<T>(): Level<T> {
  return { next: new Map(), here: undefined, below: undefined };
}

const segmentPattern = /^(?:[A-Za-z0-9_:@%-]{1,384}|\*)$/;

function parsePattern(pattern: string): { segments: readonly string[]; isOpen: boolean } {
  const segments = pattern.split(".", 5);
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
