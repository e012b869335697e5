import fc from "fast-check";
import { expect, it } from "vitest";
import { TopicIndex } from "../../src/events/topic-index.ts";

/** The rule as it is told: parts joined by dots, `*` for one, `**` last for all that remain. */
function isMatch(pattern: string, topic: string): boolean {
  const wanted = pattern.split(".");
  const parts = topic.split(".");
  const isOpen = wanted.at(-1) === "**";
  if (isOpen) wanted.pop();
  const isLengthRight = isOpen ? parts.length > wanted.length : parts.length === wanted.length;
  return isLengthRight && wanted.every((part, at) => part === "*" || part === parts[at]);
}

// Few and alike, so that patterns and topics meet: one is the beginning of another.
const part = fc.constantFrom("a", "a1", "a10", "b", "%2A", "job", "jo");
const topic = fc.array(part, { minLength: 3, maxLength: 3 }).map((parts) => parts.join("."));
const pattern = fc
  .tuple(fc.array(fc.oneof(part, fc.constant("*")), { maxLength: 3 }), fc.boolean())
  .map(([parts, isOpen]) => (isOpen || parts.length === 0 ? [...parts, "**"] : parts).join("."));
const step = fc.record({ kind: fc.constantFrom("add", "remove"), pattern });

it("finds what a naive matcher finds, whatever was added and removed before", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.array(topic, { maxLength: 10 }),
      (steps, topics) => {
        const index = new TopicIndex<string>();
        const known = new Set<string>();
        for (const { kind, pattern: changed } of steps) {
          if (kind === "add") {
            index.set(changed, changed);
            known.add(changed);
          } else {
            index.delete(changed);
            known.delete(changed);
          }
          expect(index.get(changed)).toBe(known.has(changed) ? changed : undefined);
        }
        for (const published of topics) {
          const expected = [...known].filter((candidate) => isMatch(candidate, published));
          expect(index.match(published.split(".")).toSorted()).toEqual(expected.toSorted());
        }
      },
    ),
    { numRuns: 500 },
  );
});

it("keeps nothing of patterns that were removed", () => {
  const index = new TopicIndex<number>();
  for (const name of ["a.b.c", "a.b.*", "a.**", "**"]) index.set(name, 1);
  for (const name of ["a.b.c", "a.b.*", "a.**"]) index.delete(name);
  expect(index.match(["a", "b", "c"])).toEqual([1]);
  index.delete("**");
  expect(index.match(["a", "b", "c"])).toEqual([]);
  index.delete("never.added.*");
});
