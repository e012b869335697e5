import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { describeHandlerConformance } from "../src/index.ts";
import { runFaultySuites } from "./run-faulty-suites.ts";

/** Titles of the failed cases, by the title of the suite. */
let failed: ReadonlyMap<string, readonly string[]> = new Map();

beforeAll(async () => {
  failed = await runFaultySuites(
    fileURLToPath(import.meta.resolve("./faulty-handlers/faulty-handlers.ts")),
    fileURLToPath(import.meta.resolve("./faulty-handlers/vitest.config.ts")),
  );
}, 60_000);

describe("describeHandlerConformance", () => {
  it.each([
    ["good", []],
    ["takes everything", ["refuses a payload that does not fit, and does not ask for another try"]],
    [
      "asks for another try of a wrong payload",
      ["refuses a payload that does not fit, and does not ask for another try"],
    ],
    [
      "ignores its signal",
      ["ends soon when it is aborted", "ends soon when it is aborted right after its start"],
    ],
    ["returns a date", ["completes a valid payload with a result that is JSON"]],
    ["goes back", ["reports progress that does not go back, and numbers that have no gaps"]],
    ["changes its payload", ["leaves the document it is given as it was"]],
    ["runs alone", ["can run more than once at a time"]],
  ])("finds what is wrong with a handler that: %s", (name, cases) => {
    expect(failed.get(`Handler: ${name}`)).toEqual(cases);
  });

  it.each([
    ["returns a bigint", "completes a valid payload with a result that is JSON"],
    ["cleans up what it never made", "cleans up once after each attempt, without an error"],
    ["is set up once and for all", "completes again after it was torn down and set up anew"],
  ])("finds among other things what is wrong with a handler that: %s", (name, title) => {
    expect(failed.get(`Handler: ${name}`)).toContain(title);
  });

  it("wants an operation for a handler that has patterns only", () => {
    const handler = { name: "all", operations: ["test.*"], execute: () => undefined };
    expect(() => {
      describeHandlerConformance("all", { handler, validPayload: {} });
    }).toThrow("name an operation that the patterns cover");
  });
});
