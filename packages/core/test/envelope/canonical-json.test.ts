import fc from "fast-check";
import { expect, it } from "vitest";
import { canonicalJson } from "../../src/index.ts";
import { hasDuplicateKeys } from "../../src/envelope/unique-keys.ts";

// RFC 8785, sections 3.2.2 and 3.2.3.
it("writes the example of the standard as the standard does", () => {
  const value: unknown = JSON.parse(String.raw`{
    "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
    "literals": [null, true, false]
  }`);
  expect(canonicalJson(value)).toBe(
    String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
  );
});

it("sorts names by UTF-16 code units", () => {
  const names = ["\u20ac", "\r", "\ufb33", "1", "\ud83d\ude00", "\u0080", "\u00f6"];
  const value = Object.fromEntries(names.map((name) => [name, 0]));
  expect(Object.keys(JSON.parse(canonicalJson(value)))).toEqual([
    "1",
    "\r",
    "\u0080",
    "\u00f6",
    "\u20ac",
    "\ud83d\ude00",
    "\ufb33",
  ]);
});

it.each<[string, unknown]>([
  ["undefined", undefined],
  ["a member that is undefined", { a: undefined }],
  ["a hole", [, 1]], // oxlint-disable-line no-sparse-arrays -- the case itself
  ["NaN", { a: Number.NaN }],
  ["infinity", [Infinity]],
  ["a lone surrogate", "\ud800"],
  ["a lone surrogate in a name", { "\udc00": 1 }],
  ["a date", new Date(0)],
  ["a map", new Map()],
  ["a function", { a: () => {} }],
  ["a bigint", 1n],
  ["an object that writes itself", { toJSON: () => "something else" }],
])("refuses %s", (_what, value) => {
  expect(() => canonicalJson(value)).toThrow(
    expect.objectContaining({ code: "SERIALIZATION_ERROR" }),
  );
});

it("refuses cycles and endless nesting", () => {
  const cycle: Record<string, unknown> = {};
  cycle["again"] = cycle;
  expect(() => canonicalJson(cycle)).toThrow("is not JSON");
});

it("names the place of what it refuses", () => {
  expect(() => canonicalJson({ a: [1, { b: Number.NaN }] })).toThrow("$.a[1].b");
});

it("is the same text for the same value, and means that value", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      fc.pre(JSON.stringify(value).isWellFormed() && !JSON.stringify(value).includes("\\ud"));
      const text = canonicalJson(value);
      const parsed: unknown = JSON.parse(text);
      expect(parsed).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonicalJson(parsed)).toBe(text);
    }),
  );
});

it("finds a member that is named twice, at any depth and in any spelling", () => {
  for (const text of [
    '{"a":1,"a":2}',
    '{"a":{"b":1,"c":[{"d":1,"d" :2}]}}',
    String.raw`{"a":1,"\u0061":2}`,
    String.raw`{"\\":1,"\\" : 2}`,
  ]) {
    expect(hasDuplicateKeys(text), text).toBe(true);
  }
});

it("finds none where there is none", () => {
  for (const text of [
    '{"a":"a","b":{"a":["a","a",{"a":1}]}}',
    String.raw`{"a":"\"a\":","b":"{"}`,
    "[]",
  ]) {
    expect(hasDuplicateKeys(text), text).toBe(false);
  }
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(hasDuplicateKeys(JSON.stringify(JSON.parse(text), undefined, 1))).toBe(false);
    }),
  );
});
