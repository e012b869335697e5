import { describe, expect, it } from "vitest";
import { resolveExports } from "../../src/plugin/resolve-exports.ts";

const conditions = new Set(["node", "import", "default"]);
const resolve = (exports: unknown, subpath = ".") => resolveExports(exports, subpath, conditions);

describe("resolveExports", () => {
  it.each([
    ["a path", "./a.js", ".", "./a.js"],
    [
      "conditions in their order",
      { require: "./r.js", import: "./i.js", default: "./d.js" },
      ".",
      "./i.js",
    ],
    [
      "the first that holds, not the most special",
      { default: "./d.js", import: "./i.js" },
      ".",
      "./d.js",
    ],
    ["nested conditions", { node: { require: "./r.js", import: "./i.js" } }, ".", "./i.js"],
    [
      "the next one when a nested one has nothing",
      { node: { require: "./r.js" }, default: "./d.js" },
      ".",
      "./d.js",
    ],
    ["the first usable of a list", ["https://x", { browser: "./b.js" }, "./a.js"], ".", "./a.js"],
    ["subpaths", { ".": "./a.js", "./sub": "./s.js" }, "./sub", "./s.js"],
    [
      "the longest pattern",
      { "./*": "./all/*.js", "./x/*": "./x/*/index.js" },
      "./x/y",
      "./x/y/index.js",
    ],
    [
      "patterns with an end",
      { "./*.js": "./dist/*.js", "./*": "./other/*" },
      "./a/b.js",
      "./dist/a/b.js",
    ],
    ["each star", { "./*": "./*/*.js" }, "./a", "./a/a.js"],
  ])("knows %s", (...[, exports, subpath, expected]) => {
    expect(resolve(exports, subpath)).toBe(expected);
  });

  it.each([
    ["a subpath that is not there", { ".": "./a.js" }, "./sub"],
    ["a subpath of a package with one entry", "./a.js", "./sub"],
    ["conditions that do not hold", { require: "./r.js", browser: "./b.js" }, "."],
    ["what is forbidden", { "./*": "./*.js", "./internal/*": null }, "./internal/x"],
    ["what is forbidden under a condition", { import: null, default: "./d.js" }, "."],
    ["a path out of the package", "../a.js", "."],
    ["a path out of the package in the middle", "./a/../../b.js", "."],
    ["a subpath that leads out", { "./*": "./dist/*" }, "./../../etc/passwd"],
    ["an encoded one", { "./*": "./dist/*" }, "./..%2f..%2fetc"],
    ["another package", { ".": "other/a.js" }, "."],
    ["an empty star", { "./*": "./dist/*" }, "./"],
    ["no exports at all", null, "."],
  ])("finds nothing for %s", (_what, exports, subpath) => {
    expect(resolve(exports, subpath)).toBeUndefined();
  });
});
