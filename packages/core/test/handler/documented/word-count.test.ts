import { allowAllPolicy, startWorker } from "@longshore/core";
import { describeHandlerConformance } from "@longshore/testkit";
import { expect, it } from "vitest";
import { wordCount } from "./word-count.ts";

describeHandlerConformance("word-count", {
  handler: wordCount,
  validPayload: { texts: ["one two", "three"] },
  invalidPayload: { texts: "one two" },
  longPayload: { texts: Array.from({ length: 100_000 }, () => "word") },
  abortAfterMs: 20,
});

it("counts the words of all texts", async () => {
  await using worker = await startWorker({ handlers: [wordCount], policy: allowAllPolicy() });
  const job = await worker.submit({ operation: "text.count", data: { texts: ["a b", " c "] } });
  const { status, data, outputs } = await job.result();
  expect({ status, data }).toEqual({ status: "completed", data: { words: 3 } });
  expect(outputs?.artifacts).toMatchObject([
    { path: "report.json", mediaType: "application/json" },
  ]);
});
