import {
  context,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span,
  type SpanOptions,
  type Tracer,
} from "@opentelemetry/api";
import { isLongshoreError } from "../errors/longshore-error.ts";
import type { JobInput } from "../job/create-job-document.ts";
import type { JobDocument } from "../job/job-document.ts";
import { parentContext, withTrace } from "./trace-context.ts";

/** Runs a handler inside a span of its own, active for what the handler calls; its `error` is recorded. */
export type InHandlerSpan = <Outcome extends { readonly error?: unknown }>(
  handler: string,
  task: () => Promise<Outcome>,
) => Promise<Outcome>;

/** How a handler ended; `stopped` when it failed because the job was cancelled, or not this worker's any more. */
export type HandlerStatus = "succeeded" | "failed" | "stopped";

/** The spans of a job's life. */
export interface JobSpans {
  submit<Accepted extends { readonly jobId: string }>(
    input: JobInput,
    task: (traced: JobInput) => Promise<Accepted>,
  ): Promise<Accepted>;
  /** A wait that ends now. */
  queue(document: JobDocument, waitMs: number): void;
  run(
    document: JobDocument,
    attempt: number,
    task: (inHandlerSpan: InHandlerSpan) => Promise<string>,
  ): Promise<string>;
}

/** States of an attempt in which nothing went wrong. */
const fineStates: ReadonlySet<string> = new Set(["completed", "released", "cancelled"]);
const stopCodes: ReadonlySet<string> = new Set(["CANCELLED", "SHUTDOWN", "LEASE_LOST"]);

/** `onHandlerEnd` hears of each run of a handler, with its time in milliseconds. */
export function jobSpans(
  tracer: Tracer,
  onHandlerEnd: (handler: string, status: HandlerStatus, durationMs: number) => void,
): JobSpans {
  async function runHandler<Outcome extends { readonly error?: unknown }>(
    handler: string,
    span: Span,
    task: () => Promise<Outcome>,
  ): Promise<Outcome> {
    const startedAt = performance.now();
    let status: HandlerStatus = "failed";
    try {
      const outcome = await task();
      status = statusOf(outcome.error);
      if (status === "failed") recordError(span, outcome.error);
      span.setAttribute("handler.status", status);
      return outcome;
    } finally {
      onHandlerEnd(handler, status, performance.now() - startedAt);
    }
  }

  return {
    submit(input, task) {
      const parent = parentContext(input, context.active());
      const options = {
        kind: SpanKind.PRODUCER,
        attributes: { "job.operation": input.operation },
      };
      return inSpan(tracer, { name: "job.submit", parent, options }, async (span) => {
        const accepted = await task(withTrace(input, span.spanContext()));
        span.setAttribute("job.id", accepted.jobId);
        return accepted;
      });
    },
    queue(document, waitMs) {
      const options = { startTime: Date.now() - waitMs, attributes: attributesOf(document) };
      tracer.startSpan("job.queue", options, parentContext(document)).end();
    },
    run(document, attempt, task) {
      const parent = parentContext(document);
      const attributes = { ...attributesOf(document), "job.attempt": attempt };
      const options = { kind: SpanKind.CONSUMER, attributes };
      return inSpan(tracer, { name: "job.run", parent, options }, async (span) => {
        // Named, because the host program may have registered nothing that keeps track of the active span.
        const inside = trace.setSpan(parent, span);
        const status = await task((handler, handlerTask) => {
          const handlerOptions = { attributes: { handler } };
          return inSpan(
            tracer,
            { name: "handler", parent: inside, options: handlerOptions },
            (handlerSpan) => runHandler(handler, handlerSpan, handlerTask),
          );
        });
        span.setAttribute("job.status", status);
        if (!fineStates.has(status)) {
          span.setStatus({ code: SpanStatusCode.ERROR, message: status });
        }
        return status;
      });
    },
  };
}

interface NamedSpan {
  readonly name: string;
  readonly parent: Context;
  readonly options: SpanOptions;
}

function inSpan<T>(
  tracer: Tracer,
  { name, parent, options }: NamedSpan,
  task: (span: Span) => Promise<T>,
): Promise<T> {
  return tracer.startActiveSpan(name, options, parent, async (span) => {
    try {
      return await task(span);
    } catch (error) {
      recordError(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

function attributesOf({ jobId, operation }: JobDocument): Record<string, string> {
  return { "job.id": jobId, "job.operation": operation };
}

function statusOf(error: unknown): HandlerStatus {
  if (error === undefined) return "succeeded";
  return isLongshoreError(error) && stopCodes.has(error.code) ? "stopped" : "failed";
}

function recordError(span: Span, error: unknown): void {
  span.setStatus({
    code: SpanStatusCode.ERROR,
    ...(error instanceof Error && { message: error.message }),
  });
  if (error instanceof Error) span.recordException(error);
}
