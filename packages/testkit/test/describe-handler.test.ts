import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { describeHandlerConformance } from "../src/index.ts";

/** Titles of the failed cases, by the name that the suite was given. */
const failed = new Map<string, readonly string[]>();

beforeAll(async () => {
  const report = await runSuites();
  for (const [suite, cases] of report) {
    failed.set(
      suite.replace("Handler: ", ""),
      cases.filter(({ status }) => status === "failed").map(({ title }) => title),
    );
  }
}, 60_000);

interface CaseReport {
  readonly ancestorTitles: readonly string[];
  readonly title: string;
  readonly status: string;
}

/** Runs the suites of `faulty-handlers.ts` in a vitest of their own. */
async function runSuites(): Promise<ReadonlyMap<string, readonly CaseReport[]>> {
  const cli = join(
    dirname(fileURLToPath(import.meta.resolve("vitest/package.json"))),
    "vitest.mjs",
  );
  const suites = fileURLToPath(import.meta.resolve("./faulty-handlers/faulty-handlers.ts"));
  const config = fileURLToPath(import.meta.resolve("./faulty-handlers/vitest.config.ts"));
  const directory = await mkdtemp(join(tmpdir(), "longshore-suites-"));
  const file = join(directory, "report.json");
  try {
    await new Promise<void>((resolve) => {
      const options = ["--config", config, "--reporter", "json", "--outputFile", file];
      // It exits with 1: there are failures, and must be.
      execFile(process.execPath, [cli, "run", ...options], { cwd: dirname(suites) }, () => {
        resolve();
      });
    });
    return casesBySuite(JSON.parse(await readFile(file, "utf8")));
  } finally {
    await rm(directory, { recursive: true });
  }
}

function casesBySuite({
  testResults,
}: {
  readonly testResults: readonly { readonly assertionResults: readonly CaseReport[] }[];
}): ReadonlyMap<string, readonly CaseReport[]> {
  const cases = testResults.flatMap(({ assertionResults }) => assertionResults);
  return Map.groupBy(cases, ({ ancestorTitles }) => ancestorTitles.join(" "));
}

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
    expect(failed.get(name)).toEqual(cases);
  });

  it.each([
    ["returns a bigint", "completes a valid payload with a result that is JSON"],
    ["cleans up what it never made", "cleans up once after each attempt, without an error"],
    ["is set up once and for all", "completes again after it was torn down and set up anew"],
  ])("finds among other things what is wrong with a handler that: %s", (name, title) => {
    expect(failed.get(name)).toContain(title);
  });

  it("wants an operation for a handler that has patterns only", () => {
    const handler = { name: "all", operations: ["test.*"], execute: () => undefined };
    expect(() => {
      describeHandlerConformance("all", { handler, validPayload: {} });
    }).toThrow("name an operation that the patterns cover");
  });
});
