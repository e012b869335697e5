import {
  context,
  isSpanContextValid,
  metrics,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes,
  type Context,
  type MeterProvider,
  type TracerProvider,
} from "@opentelemetry/api";
import type { JobDocument } from "../job/job-document.ts";

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
  /** Runs an attempt inside a span that continues the trace the job came with; its `error` is recorded. */
  run<T extends { readonly error?: unknown }>(
    document: JobDocument,
    attempt: number,
    task: () => Promise<T>,
  ): Promise<T>;
}

const scope = "@longshore/core";
/** Seconds, from 5 ms to about an hour and a half. */
const durationBuckets = [
  0.005,
  ...Array.from({ length: 21 }, (_, power) => 0.01 * 2 ** power),
].filter((bound) => bound <= 6_000);

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
  // One attribute object per operation and status, not one per job.
  const attributes = new Map<string, Attributes>();

  function attributesOf(operation: string, status?: string): Attributes {
    const key = status === undefined ? operation : `${operation} ${status}`;
    let known = attributes.get(key);
    if (known === undefined) {
      known = status === undefined ? { operation } : { operation, status };
      // Operations come from registered handlers, but patterns make them open-ended.
      if (attributes.size < 10_000) attributes.set(key, known);
    }
    return known;
  }

  return {
    jobQueued() {
      depth.add(1);
    },
    jobStarted({ operation }, queueWaitMs) {
      depth.add(-1);
      active.add(1);
      queueWait.record(queueWaitMs / 1_000, attributesOf(operation));
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
    run(document, attempt, task) {
      const parent = parentContext(document);
      return tracer.startActiveSpan("job.run", {}, parent, async (span) => {
        if (span.isRecording()) {
          span.setAttributes({
            "job.id": document.jobId,
            "job.operation": document.operation,
            "job.attempt": attempt,
          });
        }
        try {
          const outcome = await task();
          if (outcome.error !== undefined) {
            span.setStatus({ code: SpanStatusCode.ERROR });
            if (outcome.error instanceof Error) span.recordException(outcome.error);
          }
          return outcome;
        } finally {
          span.end();
        }
      });
    },
  };
}

/** W3C `traceparent` of the span that is active now, to hand on to another process. */
export function activeTraceparent(): string | undefined {
  const span = trace.getSpanContext(context.active());
  if (span === undefined || !isSpanContextValid(span)) return undefined;
  const flags = span.traceFlags.toString(16).padStart(2, "0");
  return `00-${span.traceId}-${span.spanId}-${flags}`;
}

const traceparentPattern = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})/;

function parentContext({ observability }: JobDocument): Context {
  const active = context.active();
  if (observability === undefined) return active;
  const [, traceId, spanId, flags] = traceparentPattern.exec(observability.traceparent ?? "") ?? [];
  const spanContext = {
    traceId: traceId ?? observability.traceId ?? "",
    spanId: spanId ?? observability.spanId ?? "",
    traceFlags: flags === undefined ? TraceFlags.SAMPLED : Number.parseInt(flags, 16),
    isRemote: true,
  };
  return isSpanContextValid(spanContext) ? trace.setSpanContext(active, spanContext) : active;
}
