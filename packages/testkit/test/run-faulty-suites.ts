import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

interface CaseReport {
  readonly ancestorTitles: readonly string[];
  readonly title: string;
  readonly status: string;
}

/**
 * Runs suites whose cases fail, in a vitest of their own.
 *
 * @param suites path of their file
 * @param config path of its configuration
 * @returns the failed cases of each suite, by the suite's title
 */
export async function runFaultySuites(
  suites: string,
  config: string,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const cli = join(
    dirname(fileURLToPath(import.meta.resolve("vitest/package.json"))),
    "vitest.mjs",
  );
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
    return failedBySuite(JSON.parse(await readFile(file, "utf8")));
  } finally {
    await rm(directory, { recursive: true });
  }
}

function failedBySuite({
  testResults,
}: {
  readonly testResults: readonly { readonly assertionResults: readonly CaseReport[] }[];
}): ReadonlyMap<string, readonly string[]> {
  const cases = testResults.flatMap(({ assertionResults }) => assertionResults);
  const bySuite = Map.groupBy(cases, ({ ancestorTitles }) => ancestorTitles.join(" "));
  return new Map(
    [...bySuite].map(([suite, all]) => [
      suite,
      all.filter(({ status }) => status === "failed").map(({ title }) => title),
    ]),
  );
}
