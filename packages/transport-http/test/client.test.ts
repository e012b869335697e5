import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { createWorkerClient } from "../src/client/worker-client.ts";
import { collect } from "./fixtures/collect.ts";
import { serveWorker } from "./fixtures/served-worker.ts";

describe("createWorkerClient", () => {
  it("submits, follows, lists, reads and ends jobs", async () => {
    await using served = await serveWorker();
    const client = createWorkerClient(`${served.baseUrl}/`);
    const { jobId } = await client.submit({
      operation: "system.echo",
      data: { snake_case: 1 },
      metadata: { labels: { kind: "client" } },
    });
    const events = await collect(client.events(jobId));
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index));
    const result = await client.result(jobId);
    expect(result).toMatchObject({
      jobId,
      status: "completed",
      data: { echo: { snake_case: 1 } },
      executionSummary: { maxAttempts: 1 },
    });
    const { jobs } = await client.list({ labels: { kind: "client" }, states: ["completed"] });
    expect(jobs).toMatchObject([{ jobId, operation: "system.echo", maxAttempts: 1 }]);
    const again = await client.retry(jobId);
    expect(await client.get(again.jobId)).toMatchObject({ retryOf: jobId });
    const made = await client.submit({ operation: "test.artifact" });
    await client.result(made.jobId);
    const [artifact] = await client.artifacts(made.jobId);
    expect(artifact).toMatchObject({ path: "out/digits.txt", size: 10, mediaType: "text/plain" });
    const content = await client.artifact(made.jobId, "out/digits.txt");
    expect(await new Response(content).text()).toBe("0123456789");
    const endless = await client.submit({ operation: "test.endless" });
    const following = collect(client.events(endless.jobId));
    expect(await client.cancel(endless.jobId, { reason: "enough" })).toMatch(/^cancel/);
    expect((await following).at(-1)).toMatchObject({ phase: "cancelled", message: "enough" });
    expect(await client.health()).toMatchObject({ status: "ok" });
  });

  it("prints the lines of a job as they come, and all of them afterwards", async () => {
    await using served = await serveWorker();
    const client = createWorkerClient(served.baseUrl);
    const runtime = { mode: "image", image: "alpine:3" } as const;
    const { jobId } = await client.submit({ operation: "container.greet", runtime });
    expect(await collect(client.logLines(jobId))).toEqual([{ stream: "stdout", line: "started" }]);
    await client.result(jobId);
    expect(await client.logText(jobId)).toBe("started\nfinished\na warning\n");
    expect(await client.logText(jobId, { stream: "stdout", tail: 1 })).toBe("finished\n");
    expect(await client.logText(jobId, { stream: "stderr" })).toBe("a warning\n");
  });

  it("throws what the worker answers, and tells when nobody does", async () => {
    const served = await serveWorker();
    const client = createWorkerClient(served.baseUrl);
    await expect(client.get("nobody")).rejects.toMatchObject({
      code: "NOT_FOUND",
      details: { status: 404 },
    });
    await expect(collect(client.events("nobody"))).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    await expect(client.submit({ operation: "nobody.has-this" })).rejects.toMatchObject({
      code: "HANDLER_NOT_FOUND",
    });
    const { jobId } = await client.submit({ operation: "test.endless" });
    const leave = new AbortController();
    const following = collect(client.events(jobId, { signal: leave.signal }));
    leave.abort(new Error("enough"));
    await expect(following).rejects.toThrow("enough");
    await served[Symbol.asyncDispose]();
    await expect(client.info()).rejects.toMatchObject({ code: "TRANSPORT_ERROR" });
    expect(() => createWorkerClient("file:///etc/passwd")).toThrow(TypeError);
  });

  it("reads no more of an error than it may be long", async () => {
    let chunks = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        chunks += 1;
        controller.enqueue(new Uint8Array(65_536).fill(32));
      },
    });
    const client = createWorkerClient("http://127.0.0.1:9", {
      fetch: () => Promise.resolve(new Response(endless, { status: 502 })),
    });
    await expect(client.health()).rejects.toMatchObject({
      code: "TRANSPORT_ERROR",
      details: { status: 502 },
    });
    expect(chunks).toBeLessThan(32);
  });

  it("goes on where it was when a stream breaks off", async () => {
    await using served = await serveWorker();
    let streams = 0;
    const client = createWorkerClient(served.baseUrl, {
      async fetch(input, init) {
        const response = await fetch(input, init);
        const isStream = typeof input === "string" && input.endsWith("/events");
        if (!isStream || response.body === null) return response;
        streams += 1;
        if (streams > 3) return response;
        let messages = 0;
        const broken = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(
          new TransformStream<string, string>({
            transform(chunk, controller) {
              messages += 1;
              if (messages > 3) controller.error(new Error("the line is dead"));
              else controller.enqueue(chunk);
            },
          }),
        );
        return new Response(broken.pipeThrough(new TextEncoderStream()), response);
      },
    });
    const { jobId } = await client.submit({ operation: "test.endless" });
    const seen: number[] = [];
    for await (const { sequence } of client.events(jobId)) {
      seen.push(sequence);
      if (seen.length === 12) await client.cancel(jobId);
    }
    expect(streams).toBeGreaterThan(2);
    expect(seen).toEqual(seen.map((_, index) => index));
  });

  it("imports nothing that browsers do not have", async () => {
    const seen = new Set<string>();
    const packages: Readonly<Record<string, string>> = {
      "@longshore/core/wire": join(import.meta.dirname, "../../core/src/wire.ts"),
    };
    const outside = new Set<string>();
    const walk = async (file: string): Promise<void> => {
      if (seen.has(file)) return;
      seen.add(file);
      const source = await readFile(file, "utf8");
      expect(source, file).not.toMatch(/\b(Buffer|process)\./);
      for (const [, name = ""] of source.matchAll(
        /^(?:import|export)(?! type)\b[^;]*? from "([^"]+)"/gm,
      )) {
        const inside = name.startsWith(".") ? resolve(dirname(file), name) : packages[name];
        if (inside === undefined) outside.add(name);
        else await walk(inside);
      }
    };
    await walk(join(import.meta.dirname, "../src/client/worker-client.ts"));
    expect([...outside].toSorted()).toEqual(["eventsource-parser/stream", "semver", "ulid", "zod"]);
  });
});
