import { context, trace } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { pino } from "pino";
import { afterEach, describe, expect, it } from "vitest";
import {
  allowAllPolicy,
  defineHandler,
  echoHandler,
  LongshoreError,
  startWorker,
  workerTelemetry,
  type Logger,
} from "../../src/index.ts";

afterEach(() => {
  trace.disable();
  context.disable();
});

function openMetrics() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  /** Current value of a metric by its attributes; a histogram's is its count. */
  const read = async (name: string): Promise<Record<string, number>> => {
    await meterProvider.forceFlush();
    const metrics = exporter
      .getMetrics()
      .at(-1)
      ?.scopeMetrics.flatMap((scope) => scope.metrics);
    const points = metrics?.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? [];
    return Object.fromEntries(
      points.map(({ attributes, value }) => [
        Object.values(attributes).join(" "),
        typeof value === "number" ? value : value.count,
      ]),
    );
  };
  return { meterProvider, read };
}

const failing = defineHandler({
  name: "failing",
  operations: ["test.failing"],
  execute: (): never => {
    throw new LongshoreError("EXECUTION_ERROR", "no");
  },
});

describe("worker metrics", () => {
  it("count every start and every end, so that no gauge leaks (F13)", async () => {
    const { meterProvider, read } = openMetrics();
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [
        echoHandler,
        failing,
        {
          name: "picky",
          operations: ["test.picky"],
          payload: {
            "~standard": {
              version: 1,
              vendor: "test",
              validate: () => ({ issues: [{ message: "no" }] }),
            },
          },
          execute: () => 1,
        },
      ],
      telemetry: workerTelemetry({ meterProvider }),
    });
    const execution = { maxAttempts: 2, retry: { baseMs: 1 } };
    const keyed = { operation: "system.echo", execution: { idempotencyKey: "k" } };
    for (const input of [
      keyed,
      keyed,
      { operation: "test.failing", execution },
      { operation: "test.picky" },
    ]) {
      await (await worker.submit(input)).result();
    }
    await expect(worker.submit({ operation: "no.such" })).rejects.toThrow("No handler");
    expect(await read("worker_active_jobs")).toEqual({ "": 0 });
    expect(await read("worker_queue_depth")).toEqual({ "": 0 });
    expect(await read("worker_jobs_total")).toEqual({
      "system.echo completed": 1,
      "test.failing retried": 1,
      "test.failing failed": 1,
      "test.picky failed": 1,
    });
    expect(await read("worker_retries_total")).toEqual({ EXECUTION_ERROR: 1 });
    expect(await read("worker_jobs_duration_seconds")).toMatchObject({ "test.failing": 2 });
  });

  it("follow a job that is cancelled while it waits", async () => {
    const { meterProvider, read } = openMetrics();
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [echoHandler],
      telemetry: workerTelemetry({ meterProvider }),
    });
    const notBefore = new Date(Date.now() + 3_600_000).toISOString();
    const job = await worker.submit({ operation: "system.echo", execution: { notBefore } });
    expect(await read("worker_queue_depth")).toEqual({ "": 1 });
    await job.cancel();
    expect(await read("worker_queue_depth")).toEqual({ "": 0 });
  });
});

describe("worker spans", () => {
  it("continue the trace that the job came with, and show what failed", async () => {
    const exporter = new InMemorySpanExporter();
    const tracerProvider = new BasicTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(exporter)],
    });
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [failing],
      telemetry: workerTelemetry({ tracerProvider }),
    });
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
    const job = await worker.submit({ operation: "test.failing", observability: { traceparent } });
    await job.result();
    const [span] = exporter.getFinishedSpans();
    expect(span?.spanContext().traceId).toBe(traceId);
    expect(span?.parentSpanContext?.spanId).toBe("b7ad6b7169203331");
    expect(span?.attributes).toMatchObject({ "job.id": job.jobId, "job.attempt": 1 });
    expect(span?.events.map(({ name }) => name)).toEqual(["exception"]);
  });
});

describe("the logger", () => {
  it("may be a pino logger as it is, and gets a line for each phase", async () => {
    const lines: Record<string, unknown>[] = [];
    const logger: Logger = pino(
      { level: "debug" },
      { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
    );
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [echoHandler],
      logger,
    });
    const job = await worker.submit({ operation: "system.echo" });
    await job.result();
    const own = lines.filter(({ jobId }) => jobId === job.jobId);
    expect(own.map(({ phase, progressPercent }) => [phase, progressPercent])).toEqual([
      ["queued", undefined],
      ["assigned", undefined],
      ["running", undefined],
      ["validation", 0],
      ["execution", 50],
      ["completion", 100],
      ["completed", undefined],
    ]);
  });
});
