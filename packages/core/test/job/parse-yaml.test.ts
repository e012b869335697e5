import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stringify } from "yaml";
import { parseYaml } from "../../src/job/parse-yaml.ts";

describe("parseYaml", () => {
  it("reads what was written, whatever it was", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), (value) => {
        const plain: unknown = JSON.parse(JSON.stringify(value));
        expect(parseYaml(stringify(plain))).toEqual(plain);
      }),
    );
  });

  it("keeps words of YAML 1.1 as the strings they are", () => {
    expect(parseYaml("a: yes\nb: 012\nc: 1_000\nd: 2001-01-01\ne: 12:30")).toEqual({
      a: "yes",
      b: 12,
      c: "1_000",
      d: "2001-01-01",
      e: "12:30",
    });
  });

  it("expands an alias", () => {
    expect(parseYaml("a: &x {n: 1}\nb: *x")).toEqual({ a: { n: 1 }, b: { n: 1 } });
  });

  it.each([
    ["a directive", "%YAML 1.1\n---\na: yes", "directives are not supported at line 1, column 1"],
    ["a tag", "a: !!binary aGk=", "line 1, column 4"],
    ["a key twice", "a: 1\nb: 2\na: 3", "the key a is there twice at line 3, column 1"],
    ["a key that is a list", "[1]: 2", "line 1"],
    ["a second document", "a: 1\n---\nb: 2", "more than one document at line 2"],
    ["tabs as indentation", "a:\n\t- b", "line 2"],
    ["an alias without an anchor", "a: *x", "Unresolved alias"],
    ["nested flow collections", "[".repeat(500), "nested deeper than 64 levels"],
    ["nested block lists", `${"- ".repeat(500)}x`, "nested deeper than 64 levels"],
  ])("refuses %s, and says where", (_what, text, message) => {
    expect(() => parseYaml(text)).toThrow(message);
  });

  it.each([
    ["a million little words", "a: [".padEnd(1_000_000, "x,")],
    ["keys without end", Array.from({ length: 120_000 }, (_, n) => `k${n}:`).join("\n")],
    ["an opened quote", `a: "${"\\x41 ".repeat(150_000)}`],
    ["question marks", "? ".repeat(400_000)],
  ])("is done in seconds with %s", (_what, text) => {
    const startedAt = performance.now();
    try {
      parseYaml(text);
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
    }
    expect(performance.now() - startedAt).toBeLessThan(8_000);
  });
});
