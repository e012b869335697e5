import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  allowAllPolicy,
  handlerRegistry,
  loadPlugins,
  LongshoreError,
  setupPlugins,
  silentLogger,
  startWorker,
} from "../../../src/index.ts";
import { handlerBench } from "../handler-bench.ts";
import { wordCount } from "./word-count.ts";

const docs = join(import.meta.dirname, "../../../../../docs");

/** Each block of code that says which file it is. */
async function blocksOf(document: string): Promise<readonly (readonly [string, string])[]> {
  const text = await readFile(join(docs, document), "utf8");
  const blocks = text.matchAll(/<!-- documented\/([\w.-]+) -->\n\n```ts\n([^]*?)```\n/g);
  return [...blocks].map(([, file = "", code = ""]) => [file, code]);
}

describe("the documents", () => {
  it.each([
    ["handlers.md", ["word-count.ts", "word-count.test.ts"]],
    ["plugins.md", ["text-plugin.ts"]],
  ])("%s shows the code that is tested here", async (document, files) => {
    const blocks = await blocksOf(document);
    expect(blocks.map(([file]) => file)).toEqual(files);
    for (const [file, code] of blocks) {
      expect(code).toBe(await readFile(join(import.meta.dirname, file), "utf8"));
    }
  });
});

describe("the documented plugin", () => {
  it("is loaded by its path and brings its handler and transport", async () => {
    const plugins = await loadPlugins(["./text-plugin.ts"], { from: import.meta.dirname });
    const workDir = await mkdtemp(join(tmpdir(), "longshore-documents-"));
    onTestFinished(() => rm(workDir, { recursive: true }));
    await using worker = await startWorker({
      workDir,
      plugins,
      transports: [{ type: "text-memory" }],
      policy: allowAllPolicy(),
    });
    const job = await worker.submit({ operation: "text.count", data: { texts: ["one two"] } });
    expect(await job.result()).toMatchObject({ status: "completed", data: { words: 2 } });
  });

  it("registers on any host", async () => {
    const plugins = await loadPlugins(["./text-plugin.ts"], { from: import.meta.dirname });
    const registry = handlerRegistry();
    await setupPlugins(plugins, {
      logger: silentLogger,
      registerHandler: (handler, options) => {
        registry.register(handler, options);
      },
      registerTransport: () => {},
    });
    expect(registry.operations()).toEqual(["text.count"]);
  });
});

describe("the documented handler", () => {
  it("goes on from its checkpoint", async () => {
    await using bench = await handlerBench();
    const { outcome } = await bench.run(
      wordCount,
      { texts: ["skipped skipped", "one more"] },
      { checkpoint: { done: 1, words: 10 } },
    );
    expect(outcome.data).toEqual({ words: 12 });
  });

  it("fails for good with a code of its own", async () => {
    await using bench = await handlerBench();
    const { error } = await bench.run(wordCount, { texts: ["a\0b"] });
    expect(error).toBeInstanceOf(LongshoreError);
    expect(error).toMatchObject({ code: "TEXT_IS_BINARY", retryable: false });
  });
});
