import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allowAllPolicy, startWorker } from "@longshore/core";
import { describeHandlerConformance } from "@longshore/testkit";
import { expect, it, onTestFinished } from "vitest";
import { wordCount } from "./word-count.ts";

describeHandlerConformance("word-count", {
  handler: wordCount,
  validPayload: { texts: ["one two", "three"] },
  invalidPayload: { texts: "one two" },
  longPayload: { texts: Array.from({ length: 100_000 }, () => "word") },
  abortAfterMs: 20,
});

it("counts the words of all texts", async () => {
  const workDir = await mkdtemp(join(tmpdir(), "word-count-"));
  onTestFinished(() => rm(workDir, { recursive: true }));
  const policy = allowAllPolicy();
  await using worker = await startWorker({ handlers: [wordCount], policy, workDir });
  const job = await worker.submit({ operation: "text.count", data: { texts: ["a b", " c "] } });
  const { status, data, outputs } = await job.result();
  expect({ status, data }).toEqual({ status: "completed", data: { words: 3 } });
  expect(outputs?.artifacts).toMatchObject([
    { path: "report.json", mediaType: "application/json" },
  ]);
});
