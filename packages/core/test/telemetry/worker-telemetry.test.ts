import { metrics } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { pino } from "pino";
import { afterEach, describe, expect, it } from "vitest";
import {
  allowAllPolicy,
  defineHandler,
  echoHandler,
  LongshoreError,
  memoryEventBus,
  startWorker,
  workerTelemetry,
  type Logger,
} from "../../src/index.ts";

afterEach(() => {
  metrics.disable();
});

function openMetrics() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  /** Current value of a metric by its attributes; a histogram's is its count. */
  const read = async (name: string): Promise<Record<string, number>> => {
    await meterProvider.forceFlush();
    const latest = exporter
      .getMetrics()
      .at(-1)
      ?.scopeMetrics.flatMap((scope) => scope.metrics);
    const points = latest?.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? [];
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

describe("handler metrics", () => {
  it("count the runs of each handler, and tell a stop from a failure", async () => {
    const { meterProvider, read } = openMetrics();
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
      handlers: [echoHandler, failing, waiting],
      telemetry: workerTelemetry({ meterProvider }),
    });
    for (const operation of ["system.echo", "system.echo", "test.failing"]) {
      await (await worker.submit({ operation })).result();
    }
    const job = await worker.submit({ operation: "test.waiting" });
    await running;
    await job.cancel();
    await job.result();
    expect(await read("worker_handler_executions_total")).toEqual({
      "echo succeeded": 2,
      "failing failed": 1,
      "waiting stopped": 1,
    });
    expect(await read("worker_handler_duration_seconds")).toEqual({
      echo: 2,
      failing: 1,
      waiting: 1,
    });
  });

  it("count a handler that was given up on, although it never ends", async () => {
    const { meterProvider, read } = openMetrics();
    const deaf = defineHandler({
      name: "deaf",
      operations: ["test.deaf"],
      execute: () => new Promise<never>(() => {}),
    });
    await using worker = await startWorker({
      policy: allowAllPolicy(),
      handlers: [deaf],
      killGraceMs: 0,
      telemetry: workerTelemetry({ meterProvider }),
    });
    const execution = { timeoutSeconds: 1 };
    const job = await worker.submit({ operation: "test.deaf", execution });
    expect(await job.result()).toMatchObject({ status: "timeout" });
    expect(await read("worker_handler_executions_total")).toEqual({ "deaf failed": 1 });
    expect(await read("worker_active_jobs")).toEqual({ "": 0 });
  });
});

describe("the counter of dropped events", () => {
  it("counts by overflow policy what subscribers did not get", async () => {
    const { meterProvider, read } = openMetrics();
    await using bus = memoryEventBus({ meterProvider });
    const slow = { queueCapacity: 2 };
    await using oldest = bus.subscribe("job.*.done", { ...slow, overflow: "drop_oldest" });
    await using newest = bus.subscribe("job.*.done", { ...slow, overflow: "drop_newest" });
    await using roomy = bus.subscribe("job.*.done");
    for (let count = 0; count < 5; count += 1) await bus.publish("job.a.done", count);
    expect([oldest, newest, roomy].map(({ droppedCount }) => droppedCount)).toEqual([3, 3, 0]);
    expect(await read("worker_event_bus_dropped_total")).toEqual({
      drop_oldest: 3,
      drop_newest: 3,
    });
  });

  it("stays silent while nothing is dropped, and takes a provider that comes after the bus", async () => {
    await using bus = memoryEventBus();
    await using stream = bus.subscribe("job.*.done", { queueCapacity: 1 });
    await bus.publish("job.a.done", 1);
    const { meterProvider, read } = openMetrics();
    metrics.setGlobalMeterProvider(meterProvider);
    expect(await read("worker_event_bus_dropped_total")).toEqual({});
    await bus.publish("job.a.done", 2);
    expect(stream.droppedCount).toBe(1);
    expect(await read("worker_event_bus_dropped_total")).toEqual({ drop_oldest: 1 });
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
