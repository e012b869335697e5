import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { runtimeCaseNames } from "../src/index.ts";
import { faults } from "./faulty-runtimes/faults.ts";
import { runFaultySuites } from "./run-faulty-suites.ts";

let failed: ReadonlyMap<string, readonly string[]> = new Map();

beforeAll(async () => {
  failed = await runFaultySuites(
    fileURLToPath(import.meta.resolve("./faulty-runtimes/faulty-runtimes.ts")),
    fileURLToPath(import.meta.resolve("./faulty-runtimes/vitest.config.ts")),
  );
}, 600_000);

describe("describeRuntimeConformance", () => {
  it.each(faults)("finds what is wrong with a runtime that: $title", ({ title, cases }) => {
    expect(failed.get(`RuntimeClient: ${title}`)).toEqual(cases);
  });

  it("has a name of its own for each of many cases", () => {
    const names = runtimeCaseNames();
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThan(200);
  });
});
