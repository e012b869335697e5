import { join, resolve, sep } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createJobId, isJobId } from "../../src/index.ts";

describe("job ids", () => {
  it.each([
    "job-1",
    "echo-test",
    "a",
    "0",
    "550e8400-e29b-41d4-a716-446655440000",
    "a.b_c-d",
    "x".repeat(128),
  ])("may be %s", (id) => {
    expect(isJobId(id)).toBe(true);
  });

  it.each([
    "",
    ".",
    "..",
    "a..b",
    "-a",
    "_a",
    ".a",
    "a/b",
    "a\\b",
    "a b",
    "ä",
    "a\0",
    "a\n",
    "x".repeat(129),
  ])("may not be %j", (id) => {
    expect(isJobId(id)).toBe(false);
  });

  it("never leave the directory they are joined to", () => {
    const root = "/srv/results";
    const nasty = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(".", "/", "\\", "a", "-", "\0", "~", ":") }),
    );
    fc.assert(
      fc.property(nasty, (id) => {
        if (!isJobId(id)) return;
        for (const name of [id, `${id}-result.json`]) {
          const path = resolve(join(root, name));
          expect(path.startsWith(root + sep)).toBe(true);
          expect(path).toBe(`${root}/${name}`);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("are unique and sort by the time they were made", () => {
    const ids = Array.from({ length: 1_000 }, createJobId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.toSorted()).toEqual(ids);
    expect(ids.every(isJobId)).toBe(true);
  });
});
