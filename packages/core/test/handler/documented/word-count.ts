import { setImmediate as nextTurn } from "node:timers/promises";
import { defineHandler, LongshoreError } from "@longshore/core";
import { z } from "zod";

const Payload = z.object({ texts: z.array(z.string()).min(1).max(100_000) });
const Progress = z.object({ done: z.int(), words: z.int() });

export const wordCount = defineHandler({
  name: "word-count",
  operations: ["text.count"],
  payload: Payload,
  async execute(context, { texts }) {
    // A retry goes on where the last attempt stopped.
    const { done, words: before } = Progress.catch({ done: 0, words: 0 }).parse(context.checkpoint);
    let words = before;
    for (const [index, text] of texts.entries()) {
      if (index < done) continue;
      context.signal.throwIfAborted();
      if (text.includes("\0")) {
        throw new LongshoreError("TEXT_IS_BINARY", `text ${index} is binary`, { retryable: false });
      }
      words += text.split(/\s+/).filter(Boolean).length;
      context.progress({ phase: "counting", percent: (100 * (index + 1)) / texts.length });
      if (index % 1_000 === 999) await context.saveCheckpoint({ done: index + 1, words });
      await nextTurn();
    }
    await context.artifact("report.json", JSON.stringify({ texts: texts.length, words }));
    return { words };
  },
});
