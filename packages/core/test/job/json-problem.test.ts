import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonProblem } from "../../src/job/json-problem.ts";

describe("jsonProblem", () => {
  it("finds nothing in what came out of JSON", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        const value: unknown = JSON.parse(text);
        fc.pre(!text.includes("__proto__"));
        expect(jsonProblem(value)).toBeUndefined();
      }),
    );
  });

  it("finds nothing in objects of another realm, or of none", () => {
    expect(jsonProblem(runInNewContext("({ a: [{}] })"))).toBeUndefined();
    expect(jsonProblem(Object.create(null))).toBeUndefined();
    expect(jsonProblem({ absent: undefined })).toBeUndefined();
  });

  const circle: { self?: unknown } = {};
  circle.self = circle;

  it.each([
    ["a function", { a: () => 1 }, "not_json", ["a"]],
    ["a date", [new Date(0)], "not_json", [0]],
    ["a map", { m: new Map() }, "not_json", ["m"]],
    ["bytes", { b: new Uint8Array(1) }, "not_json", ["b"]],
    ["a bigint", { a: [1n] }, "not_json", ["a", 0]],
    ["NaN", { a: Number.NaN }, "not_json", ["a"]],
    ["an infinite number", Infinity, "not_json", []],
    ["a hole in a list", [1, undefined], "not_json", [1]],
    ["what turns into something else", { toJSON: () => 1 }, "not_json", []],
    [
      "the name of the prototype",
      JSON.parse('{"a":{"__proto__":1}}'),
      "forbidden_key",
      ["a", "__proto__"],
    ],
  ])("finds %s", (...[, value, kind, path]) => {
    expect(jsonProblem(value)).toMatchObject({ kind, path });
  });

  it("ends at a circle, and at its limits", () => {
    expect(jsonProblem(circle)).toMatchObject({ kind: "too_deep" });
    expect(jsonProblem([[[]]], { maxDepth: 3 })).toBeUndefined();
    expect(jsonProblem([[[]]], { maxDepth: 2 })).toMatchObject({ kind: "too_deep", path: [0, 0] });
    expect(jsonProblem({ ab: "cd" }, { maxSize: 5 })).toBeUndefined();
    expect(jsonProblem({ ab: "cd" }, { maxSize: 4 })).toMatchObject({ kind: "too_large" });
  });
});
