import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { normalizeRuntime } from "../../src/index.ts";
import { workerVersion } from "../../src/capability/worker-version.ts";

describe("normalizeRuntime", () => {
  it.each([
    ["shell", ["shell", "bash", "sh", " Bash "]],
    ["python", ["python", "python3", "PYTHON3"]],
    ["node", ["node", "nodejs", "node.js", "Node.JS"]],
    ["ruby", ["ruby", "rb"]],
    ["go", ["go", "golang"]],
    ["java", ["java", "jdk", "openjdk"]],
    ["perl", ["perl", "perl5"]],
    ["r", ["r", "R", "Rscript"]],
    ["native", ["native", "builtin", "standalone"]],
    ["deno", ["deno", "DENO"]],
    ["constructor", ["constructor"]],
    ["", [""]],
  ])("makes %s of its names", (name, names) => {
    expect(names.map(normalizeRuntime)).toEqual(names.map(() => name));
  });
});

describe("the worker's version", () => {
  it("is that of the package", () => {
    const manifest = readFileSync(join(import.meta.dirname, "../../package.json"), "utf8");
    expect(JSON.parse(manifest)).toMatchObject({ version: workerVersion });
  });
});
