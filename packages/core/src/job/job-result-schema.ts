import { z } from "zod";
import { jobIdSchema } from "./job-document-schema.ts";

const dateTime = z.iso.datetime({ offset: true });
const terminal = z.enum(["completed", "failed", "timeout", "cancelled", "abandoned"]);

/** The wire form of the error object. */
export const jobErrorSchema: z.ZodObject = z
  .looseObject({
    code: z.string().min(1).max(64).describe("Stable code; switch on it"),
    message: z.string().describe("One sentence for a person"),
    phase: z.string().optional().describe("Part of the job in which it happened"),
    details: z.record(z.string(), z.unknown()).optional().describe("Machine-readable facts"),
    recoverable: z.boolean().describe("Whether it could succeed at another time"),
    retry_recommended: z.boolean().describe("Whether to try again"),
    retry_after_seconds: z.number().min(0).optional().describe("Wait before trying again"),
    cause_code: z.string().optional().describe("Code of the error underneath"),
  })
  .meta({ title: "Error object", description: "Why something failed" });

const artifact = z.looseObject({
  path: z.string().describe("Path below the job's artifacts"),
  size: z.int().min(0).describe("Bytes"),
  sha256: z.string().describe("Digest of the content, hex"),
  media_type: z.string().optional().describe("Media type"),
});

const attempt = z.looseObject({
  attempt: z.int().min(1).describe("Number of the try"),
  worker_id: z.string().describe("Who ran it"),
  started_at: dateTime.describe("Start"),
  finished_at: dateTime.describe("End"),
  status: z.enum([...terminal.options, "queued"]).describe("How it ended; queued: tried again"),
  error: jobErrorSchema.optional().describe("Why it failed"),
});

const summary = z.looseObject({
  started_at: dateTime.optional().describe("Start of the last attempt"),
  duration_seconds: z.number().min(0).describe("Run time of the last attempt"),
  duration_ms: z.number().min(0).describe("The same in milliseconds"),
  queue_wait_ms: z.number().min(0).describe("Wait before the last attempt"),
  attempt: z.int().min(1).describe("Number of the last attempt"),
  max_attempts: z.int().min(1).describe("Tries in all"),
  idempotency_key: z.string().optional().describe("Key of the job"),
  deduplicated_from: z.string().optional().describe("Job this result is a copy of"),
  worker_version: z.string().describe("Version of the worker"),
});

const observability = z.looseObject({
  traceparent: z.string().optional().describe("W3C trace context"),
  trace_id: z.string().optional().describe("Trace"),
  span_id: z.string().optional().describe("Span"),
  parent_span_id: z.string().optional().describe("Span above"),
  correlation_id: z.string().optional().describe("Ties jobs of one cause together"),
});

/** The wire form of a result document, version 1. */
export const jobResultSchema: z.ZodObject = z
  .looseObject({
    version: z.string().describe("Version of the protocol"),
    job_id: jobIdSchema.describe("Job"),
    operation: z.string().describe("What it did"),
    status: terminal.describe("How it ended"),
    worker_id: z.string().describe("Who ran it"),
    created_at: dateTime.describe("When the job was made"),
    started_at: dateTime.optional().describe("Start of the last attempt"),
    finished_at: dateTime.describe("End"),
    completed_at: dateTime.optional().describe("The same as finished_at, of a completed job"),
    failed_at: dateTime.optional().describe("The same as finished_at, of any other job"),
    execution_summary: summary.describe("Times and attempts"),
    exit_code: z.int().optional().describe("Exit code of the process"),
    signal: z.string().optional().describe("Signal that ended the process"),
    oom_killed: z.boolean().optional().describe("Whether it ran out of memory"),
    stdout: z.string().optional().describe("Standard output"),
    stderr: z.string().optional().describe("Standard error"),
    stdout_truncated: z.boolean().optional().describe("Whether stdout is incomplete"),
    stderr_truncated: z.boolean().optional().describe("Whether stderr is incomplete"),
    stdout_bytes_truncated: z.int().min(0).optional().describe("Bytes left out of stdout"),
    stderr_bytes_truncated: z.int().min(0).optional().describe("Bytes left out of stderr"),
    outputs: z
      .looseObject({
        primary: z.string().optional().describe("The main output"),
        artifacts: z
          .array(z.union([artifact, z.string()]))
          .optional()
          .describe("Files the job produced; a plain string is a path"),
      })
      .optional()
      .describe("Files"),
    data: z.unknown().optional().describe("What the handler returned"),
    metrics: z.record(z.string(), z.number()).optional().describe("Measurements"),
    error: jobErrorSchema.optional().describe("Why it failed"),
    history: z.array(attempt).describe("Every attempt, oldest first"),
    observability: observability.optional().describe("Trace context"),
    signature: z.unknown().optional().describe("Signature of the result"),
  })
  .meta({ title: "Result document", description: "What became of a job" });

/** The wire form of a job event. */
export const jobEventSchema: z.ZodObject = z
  .looseObject({
    job_id: jobIdSchema.describe("Job"),
    kind: z.enum(["progress", "state", "log", "artifact", "step"]).describe("What it tells"),
    timestamp: dateTime.describe("When"),
    sequence: z.int().min(0).describe("Grows by 1 per event of the job"),
    attempt: z.int().min(1).describe("Attempt it belongs to"),
    worker_id: z.string().describe("Who tells it"),
    phase: z.string().describe("What is going on; the state, for kind state"),
    progress_percent: z.number().min(0).max(100).optional().describe("How far it is"),
    message: z.string().describe("One line for a person"),
    details: z.record(z.string(), z.unknown()).optional().describe("Machine-readable facts"),
    observability: observability.optional().describe("Trace context"),
  })
  .meta({ title: "Job event", description: "One line of a job's story" });
