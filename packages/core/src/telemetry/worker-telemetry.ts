import {
  metrics,
  trace,
  type Attributes,
  type MeterProvider,
  type TracerProvider,
} from "@opentelemetry/api";
import type { JobInput } from "../job/create-job-document.ts";
import type { JobDocument } from "../job/job-document.ts";
import { jobSpans, type InHandlerSpan } from "./job-spans.ts";

export interface WorkerTelemetryOptions {
  /** @default the global one */
  readonly meterProvider?: MeterProvider | undefined;
  /** @default the global one */
  readonly tracerProvider?: TracerProvider | undefined;
}

/** Metrics and spans of a worker. Nearly free when no OpenTelemetry provider is registered. */
export interface WorkerTelemetry {
  /** The job waits: queue depth +1. */
  jobQueued(document: JobDocument): void;
  /** It left the queue and runs: depth −1, active +1. */
  jobStarted(document: JobDocument, queueWaitMs: number): void;
  /** It left the queue without starting: depth −1. */
  jobDequeued(): void;
  /** Its attempt ended: active −1. */
  jobEnded(document: JobDocument, status: string, durationMs: number): void;
  jobRetried(code: string): void;
  leaseLost(transport: string): void;
  transportError(transport: string): void;
  /**
   * Takes a job in inside a span, below the one that is active or that the input names. The task is given the input as part
   * of that trace.
   */
  submit<Accepted extends { readonly jobId: string }>(
    input: JobInput,
    task: (traced: JobInput) => Promise<Accepted>,
  ): Promise<Accepted>;
  /**
   * Runs an attempt inside a span that continues the trace the job came with. The task resolves to the state the attempt
   * ended in, and is given what its handler is to run in.
   */
  run(
    document: JobDocument,
    attempt: number,
    task: (inHandlerSpan: InHandlerSpan) => Promise<string>,
  ): Promise<string>;
}

const scope = "@longshore/core";
/** Seconds, from 5 ms to about an hour and a half. */
const durationBuckets = [
  0.005,
  ...Array.from({ length: 21 }, (_, power) => 0.01 * 2 ** power),
].filter((bound) => bound <= 6_000);

/** Metrics and spans through the OpenTelemetry API. Providers that are registered later get spans, but no metrics. */
export function workerTelemetry(options: WorkerTelemetryOptions = {}): WorkerTelemetry {
  const meter = (options.meterProvider ?? metrics.getMeterProvider()).getMeter(scope);
  const tracer = (options.tracerProvider ?? trace.getTracerProvider()).getTracer(scope);
  const seconds = { unit: "s", advice: { explicitBucketBoundaries: durationBuckets } };
  const total = meter.createCounter("worker_jobs_total", { description: "Attempts that ended" });
  const duration = meter.createHistogram("worker_jobs_duration_seconds", {
    ...seconds,
    description: "Run time of an attempt",
  });
  const queueWait = meter.createHistogram("worker_queue_wait_seconds", {
    ...seconds,
    description: "Wait before an attempt",
  });
  const active = meter.createUpDownCounter("worker_active_jobs", { description: "Running jobs" });
  const depth = meter.createUpDownCounter("worker_queue_depth", { description: "Waiting jobs" });
  const retries = meter.createCounter("worker_retries_total", { description: "Retries by code" });
  const leases = meter.createCounter("worker_leases_lost_total", {
    description: "Leases that went to another worker",
  });
  const errors = meter.createCounter("worker_transport_errors_total", {
    description: "Calls to a transport that failed",
  });
  const executions = meter.createCounter("worker_handler_executions_total", {
    description: "Runs of a handler",
  });
  const handlerDuration = meter.createHistogram("worker_handler_duration_seconds", {
    ...seconds,
    description: "Run time of a handler",
  });
  const attributesOf = attributeCache("operation");
  const handlerAttributesOf = attributeCache("handler");

  const spans = jobSpans(tracer, (handler, status, durationMs) => {
    executions.add(1, handlerAttributesOf(handler, status));
    handlerDuration.record(durationMs / 1_000, handlerAttributesOf(handler));
  });

  return {
    jobQueued() {
      depth.add(1);
    },
    jobStarted(document, queueWaitMs) {
      depth.add(-1);
      active.add(1);
      queueWait.record(queueWaitMs / 1_000, attributesOf(document.operation));
      spans.queue(document, queueWaitMs);
    },
    jobDequeued() {
      depth.add(-1);
    },
    jobEnded({ operation }, status, durationMs) {
      active.add(-1);
      total.add(1, attributesOf(operation, status));
      duration.record(durationMs / 1_000, attributesOf(operation));
    },
    jobRetried(code) {
      retries.add(1, { code });
    },
    leaseLost(transport) {
      leases.add(1, { transport });
    },
    transportError(transport) {
      errors.add(1, { transport });
    },
    submit: spans.submit,
    run: spans.run,
  };
}

/** One attribute object per name and status, not one per job. */
function attributeCache(key: string): (name: string, status?: string) => Attributes {
  const cache = new Map<string, Attributes>();
  return (name, status) => {
    const cacheKey = status === undefined ? name : `${name} ${status}`;
    let known = cache.get(cacheKey);
    if (known === undefined) {
      known = status === undefined ? { [key]: name } : { [key]: name, status };
      // Operations come from registered handlers, but patterns make them open-ended.
      if (cache.size < 10_000) cache.set(cacheKey, known);
    }
    return known;
  };
}
