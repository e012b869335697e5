import { AsyncLocalStorage } from "node:async_hooks";
import {
  context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
} from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from "@opentelemetry/sdk-trace-base";
import { afterEach, describe, expect, it } from "vitest";
import {
  activeTraceparent,
  allowAllPolicy,
  defineHandler,
  echoHandler,
  LongshoreError,
  startWorker,
  workerTelemetry,
  type JobInput,
  type Worker,
} from "../../src/index.ts";
import { parentContext, withTrace } from "../../src/telemetry/trace-context.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const traceparent = `00-${traceId}-${spanId}-01`;

afterEach(() => {
  trace.disable();
  context.disable();
});

function openTraces() {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(exporter)],
  });
  const named = (name: string): readonly ReadableSpan[] =>
    exporter.getFinishedSpans().filter((span) => span.name === name);
  return { tracerProvider, named, telemetry: workerTelemetry({ tracerProvider }) };
}

/** What a host program registers, so that the active span follows its asynchronous calls. */
function followAsyncCalls(): void {
  const storage = new AsyncLocalStorage<Context>();
  const manager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    // oxlint-disable-next-line eslint/max-params -- the interface of OpenTelemetry has them
    with: <A extends unknown[], F extends (...args: A) => ReturnType<F>>(
      active: Context,
      task: F,
      self?: ThisParameterType<F>,
      ...args: A
    ): ReturnType<F> => storage.run(active, () => task.call(self, ...args)),
    bind: <T>(active: Context, target: T): T =>
      typeof target === "function"
        ? (((...args: unknown[]) => storage.run(active, () => target(...args))) as T)
        : target,
    enable: () => manager,
    disable: () => {
      storage.disable();
      return manager;
    },
  };
  context.setGlobalContextManager(manager);
}

const failing = defineHandler({
  name: "failing",
  operations: ["test.failing"],
  execute: (): never => {
    throw new LongshoreError("EXECUTION_ERROR", "the disk is gone", { retryable: true });
  },
});

function toMs(time: readonly [seconds: number, nanoseconds: number] | undefined): number {
  return time === undefined ? Number.NaN : time[0] * 1_000 + time[1] / 1_000_000;
}

/** Runs a job and stops the worker: the last span ends a little later than the job. */
async function runLast(worker: Worker, input: JobInput): Promise<string> {
  const jobId = await run(worker, input);
  await worker.stop();
  return jobId;
}

async function run(worker: Worker, input: JobInput): Promise<string> {
  const job = await worker.submit(input);
  await job.result();
  return job.jobId;
}

describe("the spans of a job", () => {
  it("are submit, queue, run and handler, of one trace", async () => {
    const { telemetry, named } = openTraces();
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [echoHandler],
      telemetry,
    });
    const jobId = await runLast(worker, { operation: "system.echo" });
    const [submit, queue, attempt, handler] = ["job.submit", "job.queue", "job.run", "handler"].map(
      (name) => named(name)[0],
    );
    const parentOf = (span: ReadableSpan | undefined) => span?.parentSpanContext?.spanId;
    expect(parentOf(submit)).toBeUndefined();
    expect(parentOf(queue)).toBe(submit?.spanContext().spanId);
    expect(parentOf(attempt)).toBe(submit?.spanContext().spanId);
    expect(parentOf(handler)).toBe(attempt?.spanContext().spanId);
    expect([submit?.kind, attempt?.kind]).toEqual([SpanKind.PRODUCER, SpanKind.CONSUMER]);
    const attributes = { "job.id": jobId, "job.operation": "system.echo" };
    expect(submit?.attributes).toEqual(attributes);
    expect(queue?.attributes).toEqual(attributes);
    expect(attempt?.attributes).toEqual({
      ...attributes,
      "job.attempt": 1,
      "job.status": "completed",
    });
    expect(handler?.attributes).toEqual({ handler: "echo", "handler.status": "succeeded" });
  });

  it("show what failed, at each attempt", async () => {
    const { telemetry, named } = openTraces();
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [failing],
      telemetry,
    });
    await runLast(worker, {
      operation: "test.failing",
      observability: { traceparent },
      execution: { maxAttempts: 2, retry: { baseMs: 1 } },
    });
    const attempts = named("job.run");
    expect(attempts.map(({ attributes }) => attributes)).toMatchObject([
      { "job.attempt": 1, "job.status": "retried" },
      { "job.attempt": 2, "job.status": "failed" },
    ]);
    expect(attempts.map(({ status }) => status)).toEqual([
      { code: SpanStatusCode.ERROR, message: "retried" },
      { code: SpanStatusCode.ERROR, message: "failed" },
    ]);
    const handlers = named("handler");
    expect(handlers).toHaveLength(2);
    for (const { status, events, attributes } of handlers) {
      expect(status).toEqual({ code: SpanStatusCode.ERROR, message: "the disk is gone" });
      expect(events.map(({ name }) => name)).toEqual(["exception"]);
      expect(attributes["handler.status"]).toBe("failed");
    }
    expect(named("job.queue")).toHaveLength(2);
  });

  it("show what was thrown that is no error", async () => {
    const { telemetry, named } = openTraces();
    const rude = defineHandler({
      name: "rude",
      operations: ["test.rude"],
      execute: (): never => {
        // oxlint-disable-next-line typescript/only-throw-error -- handlers of others may do it
        throw "just words";
      },
    });
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [rude],
      telemetry,
    });
    await runLast(worker, { operation: "test.rude" });
    expect(named("handler")[0]?.status).toEqual({ code: SpanStatusCode.ERROR });
    expect(named("job.run")[0]?.attributes["job.status"]).toBe("failed");
  });

  it("end for a handler that never does", async () => {
    const { telemetry, named } = openTraces();
    let started = (): void => {};
    const running = new Promise<void>((resolve) => {
      started = resolve;
    });
    const deaf = defineHandler({
      name: "deaf",
      operations: ["test.deaf"],
      execute: () =>
        new Promise<never>(() => {
          started();
        }),
    });
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [deaf],
      killGraceMs: 0,
      telemetry,
    });
    const job = await worker.submit({ operation: "test.deaf" });
    await running;
    await job.cancel();
    await job.result();
    await worker.stop();
    expect(named("handler")[0]?.attributes["handler.status"]).toBe("stopped");
  });

  it("call a cancel no error", async () => {
    const { telemetry, named } = openTraces();
    let started = (): void => {};
    const running = new Promise<void>((resolve) => {
      started = resolve;
    });
    const waiting = defineHandler({
      name: "waiting",
      operations: ["test.waiting"],
      execute: ({ signal }) =>
        new Promise<never>((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            reject(signal.reason);
          });
          started();
        }),
    });
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [waiting],
      telemetry,
    });
    const job = await worker.submit({ operation: "test.waiting" });
    await running;
    await job.cancel();
    await job.result();
    await worker.stop();
    const [attempt] = named("job.run");
    const [handler] = named("handler");
    expect([attempt?.status.code, handler?.status.code]).toEqual([
      SpanStatusCode.UNSET,
      SpanStatusCode.UNSET,
    ]);
    expect(attempt?.attributes["job.status"]).toBe("cancelled");
    expect(handler?.attributes["handler.status"]).toBe("stopped");
  });

  it("show a job that was refused", async () => {
    const { telemetry, named } = openTraces();
    await using worker = await startWorker({ policy: allowAllPolicy(), telemetry });
    await expect(worker.submit({ operation: "no.such" })).rejects.toMatchObject({
      code: "HANDLER_NOT_FOUND",
    });
    expect(named("job.submit").map(({ status }) => status.code)).toEqual([SpanStatusCode.ERROR]);
    expect(named("job.run")).toEqual([]);
  });

  it("count no wait that the job asked for", async () => {
    const { telemetry, named } = openTraces();
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [echoHandler],
      telemetry,
    });
    const notBefore = new Date(Date.now() + 200).toISOString();
    await runLast(worker, { operation: "system.echo", execution: { notBefore } });
    const [queue] = named("job.queue");
    const [attempt] = named("job.run");
    const [submit] = named("job.submit");
    const waitMs = toMs(queue?.endTime) - toMs(queue?.startTime);
    const runMs = toMs(attempt?.startTime) - toMs(submit?.startTime);
    expect(runMs).toBeGreaterThanOrEqual(190);
    // A wait that was asked for is none for the queue.
    expect(waitMs).toBeLessThan(100);
    expect(waitMs).toBeGreaterThanOrEqual(0);
  });
});

describe("the trace", () => {
  it("is that of the document", async () => {
    const { telemetry, named } = openTraces();
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [echoHandler],
      telemetry,
    });
    await run(worker, { operation: "system.echo", observability: { traceparent } });
    await runLast(worker, { operation: "system.echo", observability: { traceId, spanId } });
    const spans = ["job.submit", "job.queue", "job.run"].flatMap(named);
    expect(spans).toHaveLength(6);
    for (const span of spans) {
      expect(span.spanContext().traceId).toBe(traceId);
      expect(span.parentSpanContext?.spanId).toBe(spanId);
    }
  });

  it("is that of the program that submits", async () => {
    followAsyncCalls();
    const { telemetry, tracerProvider, named } = openTraces();
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [echoHandler],
      telemetry,
    });
    const request = tracerProvider.getTracer("host").startSpan("request");
    await context.with(trace.setSpan(context.active(), request), () =>
      runLast(worker, { operation: "system.echo" }),
    );
    const [submit] = named("job.submit");
    expect(submit?.parentSpanContext?.spanId).toBe(request.spanContext().spanId);
    expect(named("job.run")[0]?.spanContext().traceId).toBe(request.spanContext().traceId);
  });

  it("is not that of the job which made room", async () => {
    followAsyncCalls();
    const { telemetry, named } = openTraces();
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [echoHandler],
      maxConcurrentJobs: 1,
      telemetry,
    });
    const jobs = await Promise.all(
      Array.from({ length: 5 }, () => worker.submit({ operation: "system.echo" })),
    );
    await Promise.all(jobs.map((job) => job.result()));
    await worker.stop();
    const traces = named("job.run").map((span) => span.spanContext().traceId);
    expect(new Set(traces).size).toBe(5);
  });

  it("is active in the handler, across its waits", async () => {
    followAsyncCalls();
    const { telemetry, named } = openTraces();
    const seen: (string | undefined)[] = [];
    const asking = defineHandler({
      name: "asking",
      operations: ["test.asking"],
      async execute() {
        seen.push(activeTraceparent());
        await Promise.resolve();
        seen.push(activeTraceparent());
      },
    });
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [asking],
      telemetry,
    });
    await runLast(worker, { operation: "test.asking", observability: { traceparent } });
    const own = named("handler")[0]?.spanContext();
    expect(seen).toEqual(Array.from({ length: 2 }, () => `00-${traceId}-${own?.spanId ?? ""}-01`));
    expect(activeTraceparent()).toBeUndefined();
  });

  it("is handed on by a worker without any telemetry", async () => {
    followAsyncCalls();
    const documents: unknown[] = [];
    const keeping = defineHandler({
      name: "keeping",
      operations: ["test.keeping"],
      execute: ({ document }) => void documents.push(document.observability),
    });
    await using worker = await startWorker({ policy: allowAllPolicy(), handlers: [keeping] });
    const active = trace.wrapSpanContext({ traceId, spanId, traceFlags: 1 });
    await context.with(trace.setSpan(context.active(), active), () =>
      runLast(worker, { operation: "test.keeping" }),
    );
    expect(documents).toEqual([{ traceparent }]);
  });

  it("leaves a document alone that names a trace, and one without a trace", async () => {
    const documents: unknown[] = [];
    const keeping = defineHandler({
      name: "keeping",
      operations: ["test.keeping"],
      execute: ({ document }) => void documents.push(document.observability),
    });
    const { telemetry } = openTraces();
    await using traced = await startWorker({
      policy: allowAllPolicy(),
      handlers: [keeping],
      telemetry,
    });
    await runLast(traced, { operation: "test.keeping", observability: { traceId, spanId } });
    await using untraced = await startWorker({ policy: allowAllPolicy(), handlers: [keeping] });
    await runLast(untraced, { operation: "test.keeping" });
    expect(documents).toEqual([{ traceId, spanId }, undefined]);
  });

  it("is not written into an input that was signed without", () => {
    const span = { traceId, spanId, traceFlags: 1 };
    const signature = { algorithm: "ed25519", publicKeyId: "ops", value: "…" } as const;
    const input: JobInput = { operation: "system.echo", signature };
    expect(withTrace(input, span)).toBe(input);
    expect(withTrace({ operation: "system.echo" }, span).observability).toEqual({ traceparent });
  });
});

describe("a traceparent", () => {
  const remote = (value: string) =>
    trace.getSpanContext(parentContext({ observability: { traceparent: value } }));

  it.each([
    ["of this version", traceparent, 1],
    ["not sampled", `00-${traceId}-${spanId}-00`, 0],
    ["of a later version", `cc-${traceId}-${spanId}-01`, 1],
    ["of a later version that says more", `cc-${traceId}-${spanId}-01-what.the-future-will-be`, 1],
  ])("%s is read", (_what, value, traceFlags) => {
    expect(remote(value)).toEqual({ traceId, spanId, traceFlags, isRemote: true });
  });

  it.each([
    ["empty", ""],
    ["of the forbidden version", `ff-${traceId}-${spanId}-01`],
    ["of this version that says more", `${traceparent}-more`],
    ["in upper case", traceparent.toUpperCase()],
    ["without a trace", `00-${"0".repeat(32)}-${spanId}-01`],
    ["without a span", `00-${traceId}-${"0".repeat(16)}-01`],
    ["with blanks around it", ` ${traceparent} `],
    ["cut off", traceparent.slice(0, -1)],
  ])("%s is none", (_what, value) => {
    expect(remote(value)).toBeUndefined();
  });

  it("that is broken leaves the trace and span to their own fields", () => {
    const parent = parentContext({ observability: { traceparent: "broken", traceId, spanId } });
    expect(trace.getSpanContext(parent)).toMatchObject({ traceId, spanId });
  });
});
