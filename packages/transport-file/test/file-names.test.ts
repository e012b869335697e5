import { basename, dirname, join } from "node:path";
import { LongshoreError } from "@longshore/core";
import { recordingSink, sampleDocument, sampleResult } from "@longshore/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatClaimName, parseClaimName, shortenName } from "../src/claim-name.ts";
import { followProgress, requestCancel, submitJobFile, waitForResult } from "../src/index.ts";
import {
  claimDirectory,
  isJobFileName,
  layoutOf,
  progressPath,
  resultPath,
} from "../src/layout.ts";
import { createJobsDirectory, toJson } from "./jobs-directory.ts";

const escapes = [
  "../evil",
  "..",
  ".",
  "",
  "/etc/evil",
  "a/../../evil",
  "a\0b",
  "-x",
  "a b",
  "a\nb",
];

/** Any text, with what leads out of a directory more often than chance has it. */
const anyName = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc
    .array(fc.constantFrom("..", "/", "\\", ".", "\0", "~", "a", "1", "-", ".json", "%2e", "\n"), {
      maxLength: 20,
    })
    .map((parts) => parts.join("")),
);

describe("file names", () => {
  it("never lead out of the directory that they are made for", () => {
    const root = "/srv/longshore";
    const layout = layoutOf(join(root, "jobs"), join(root, "results"));
    fc.assert(
      fc.property(anyName, (name) => {
        for (const [directory, path] of [
          [layout.results, pathOr(() => resultPath(layout.results, name))],
          [layout.results, pathOr(() => progressPath(layout.results, name))],
          [layout.claimed, pathOr(() => claimDirectory(layout, name))],
        ] as const) {
          expect(path === undefined || dirname(path) === directory).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("of claims keep the attempt and the name, within the limits of a file system", () => {
    const fileName = anyName.filter(
      (name) => !name.includes("/") && !name.includes("\0") && isJobFileName(`x${name}.json`),
    );
    fc.assert(
      fc.property(fileName, fc.integer({ min: 1, max: 999_999 }), (text, attempt) => {
        const name = shortenName(`x${text}.json`);
        const claimed = formatClaimName({ attempt, name });
        expect(basename(claimed)).toBe(claimed);
        expect(Buffer.byteLength(claimed)).toBeLessThanOrEqual(255);
        expect(name.endsWith(".json")).toBe(true);
        expect(parseClaimName(claimed)).toEqual({ attempt, name });
      }),
      { numRuns: 2_000 },
    );
  });

  it("that no worker made are no claims", () => {
    for (const name of ["..", ".json", ".hidden.json", "job.txt", ""]) {
      expect(parseClaimName(`1~0123456789ab~${name}`)).toBeUndefined();
    }
    fc.assert(
      fc.property(anyName, (text) => {
        const name = parseClaimName(text)?.name;
        expect(name === undefined || isJobFileName(name)).toBe(true);
      }),
    );
  });

  it("of any form are answered and put away below the root", async () => {
    await using directory = await createJobsDirectory();
    await using transport = directory.open();
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const odd = [
      `${"x".repeat(250)}.json`,
      `${"ä".repeat(120)}.json`,
      "..json",
      "~1~.json",
      "a\nb.json",
      "-rf.json",
      "$(touch evil).json",
      "a\\..\\b.json",
      "1~0123456789ab~x.json",
    ].filter(isJobFileName);
    for (const [index, name] of odd.entries()) {
      const document = sampleDocument();
      await directory.put(name, toJson(document));
      await transport.ack((await sink.nth(index + 1)).leaseId, sampleResult(document));
    }
    expect(await directory.names("jobs", "done")).toHaveLength(odd.length);
    expect(await directory.names("results")).toHaveLength(odd.length);
    expect(await directory.names()).toEqual(["jobs", "results", "staging"]);
    expect(await directory.names("jobs")).toEqual(["cancel", "done", "failed"]);
  });

  it.each(escapes)("are refused as a worker's id: %j", async (workerId) => {
    await using directory = await createJobsDirectory();
    await using transport = directory.open();
    await expect(transport.start(recordingSink(), { workerId })).rejects.toMatchObject({
      code: "VALIDATION_ERROR",
    });
  });

  it.each(escapes)("are refused as a job's id, by worker and client: %j", async (jobId) => {
    await using directory = await createJobsDirectory();
    const { jobsDir, resultsDir } = directory;
    await using transport = directory.open({ progressFile: true });
    const sink = recordingSink();
    await transport.start(sink, { workerId: "w1" });
    const document = sampleDocument();
    await directory.put("job.json", toJson(document));
    const { leaseId } = await sink.nth(1);
    for (const call of [
      () => transport.ack(leaseId, { ...sampleResult(document), jobId }),
      () => submitJobFile({ jobsDir, document: { ...document, jobId } }),
      () => requestCancel({ jobsDir, jobId }),
      () => waitForResult({ jobsDir, resultsDir, jobId }),
      () => followProgress({ resultsDir, jobId }).next(),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: "VALIDATION_ERROR" });
    }
    expect(await directory.names("results")).toEqual([]);
    expect(await directory.names()).toEqual(["jobs", "results", "staging"]);
  });
});

/** The path that is made; none when the name is refused as it should be. */
function pathOr(make: () => string): string | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof LongshoreError && error.code === "VALIDATION_ERROR") return undefined;
    throw error;
  }
}
