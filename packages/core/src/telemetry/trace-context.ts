import {
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  trace,
  TraceFlags,
  type Context,
  type SpanContext,
} from "@opentelemetry/api";
import type { JobInput } from "../job/create-job-document.ts";
import type { JobObservability } from "../job/job-document.ts";

/** Version, trace, span, flags; later versions may say more, version ff is none (W3C Trace Context). */
const traceparentPattern =
  /^(?:00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})|(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?)$/;

/** W3C `traceparent` of the span that is active now, to hand on to another process. */
export function activeTraceparent(): string | undefined {
  const span = trace.getSpanContext(context.active());
  return span === undefined ? undefined : toTraceparent(span);
}

/** The input as part of a span's trace; unchanged when it names one itself, or was signed without. */
export function withTrace(input: JobInput, span: SpanContext): JobInput {
  const { observability, signature } = input;
  if (namesTrace(observability) || signature !== undefined) return input;
  const traceparent = toTraceparent(span);
  if (traceparent === undefined) return input;
  return { ...input, observability: { ...observability, traceparent } };
}

/**
 * What a job's spans belong to: the span that it came from, if it names one; else that of the fallback. The fallback is
 * none for a job that runs: what is active then is whatever happened to make room for it.
 */
export function parentContext(
  { observability }: { readonly observability?: JobObservability | undefined },
  fallback: Context = ROOT_CONTEXT,
): Context {
  if (observability === undefined || observability === null) return fallback;
  const parent = remoteSpan(observability);
  return isSpanContextValid(parent) ? trace.setSpanContext(fallback, parent) : fallback;
}

function namesTrace(observability: JobObservability | undefined): boolean {
  return observability?.traceparent !== undefined || observability?.traceId !== undefined;
}

function toTraceparent(span: SpanContext): string | undefined {
  if (!isSpanContextValid(span)) return undefined;
  const flags = span.traceFlags.toString(16).padStart(2, "0");
  return `00-${span.traceId}-${span.spanId}-${flags}`;
}

function remoteSpan({ traceparent, traceId, spanId }: JobObservability): SpanContext {
  const parts = traceparentPattern.exec(traceparent ?? "")?.filter((part) => part !== undefined);
  const [, parentTraceId, parentSpanId, flags] = parts ?? [];
  return {
    traceId: parentTraceId ?? traceId ?? "",
    spanId: parentSpanId ?? spanId ?? "",
    traceFlags: flags === undefined ? TraceFlags.SAMPLED : Number.parseInt(flags, 16),
    isRemote: true,
  };
}
