import { LongshoreError } from "../errors/longshore-error.ts";
import { jobDocumentSchema } from "./job-document-schema.ts";
import type { JobResult } from "./job-result.ts";
import type { JobState } from "./job-state.ts";
import { badRuntimeMode, issuesError } from "./validation-error.ts";

/**
 * A version 0 document (`protocol_version: 1`, `task`, `runtime`) in the wire form of version 1. Its jobs get the
 * original document on standard input. What version 0 does not know means nothing: such a field is kept as it is, or
 * in the original alone when version 1 has one of that name.
 *
 * What else has the wrong form is handed on for the schema to refuse.
 *
 * @throws {LongshoreError} `UNSUPPORTED_PROTOCOL_VERSION`, `VALIDATION_ERROR` without a runtime, `BAD_RUNTIME_MODE`
 */
export function convertV0(wire: Record<string, unknown>): Record<string, unknown> {
  const { protocol_version: version, job_id: jobId, task, runtime, ...rest } = wire;
  if (version !== 1) {
    throw new LongshoreError(
      "UNSUPPORTED_PROTOCOL_VERSION",
      "The document has a protocol_version that is not 1.",
      { phase: "validation", details: { supported: ["1.0"] } },
    );
  }
  const { type, payload } = isObject(task) ? task : {};
  return {
    ...Object.fromEntries(
      Object.entries(rest).filter(([key]) => !Object.hasOwn(jobDocumentSchema.shape, key)),
    ),
    version: "1.0",
    job_id: jobId,
    operation: typeof type === "string" && !type.includes(".") ? `container.${type}` : type,
    payload: payload === undefined ? {} : { data: payload },
    ...convertRuntime(runtime),
    original: wire,
  };
}

function convertRuntime(runtime: unknown): { runtime: unknown; execution?: unknown } {
  if (runtime === undefined || runtime === null) throw isNeeded("runtime");
  if (!isObject(runtime)) return { runtime };
  const { mode } = runtime;
  if (mode === undefined || mode === null) throw isNeeded("runtime.mode");
  // A job of version 0 is never a handler's, so the default mode of version 1 is none of its modes.
  if (mode !== "image" && mode !== "build") throw badRuntimeMode(mode, ["image", "build"]);
  const how = { ...runtime, input: { stdin: "job" } };
  if (!isObject(runtime["limits"])) return { runtime: how };
  const { max_runtime_seconds: seconds, ...limits } = runtime["limits"];
  // In version 0, 0 means no limit of the job's own.
  if (seconds === 0 || seconds === undefined || seconds === null) {
    return { runtime: { ...how, limits } };
  }
  return {
    runtime: { ...how, limits: runtime["limits"] },
    ...(typeof seconds === "number" && {
      execution: { timeout_seconds: Math.max(1, Math.ceil(seconds)) },
    }),
  };
}

function isNeeded(path: string): LongshoreError {
  return issuesError([{ path, code: "invalid_type", message: "is needed" }]);
}

/** Whether a field of a document is one that only version 0 has. */
export function isV0Field(path: string): boolean {
  return path === "protocol_version" || path === "task";
}

/** Where version 0 has what an issue of the converted document names. */
const v0Paths: Readonly<Record<string, string>> = {
  operation: "task.type",
  "payload.data": "task.payload",
  "execution.timeout_seconds": "runtime.limits.max_runtime_seconds",
};

/** The path of a field of a converted document, as the client of version 0 knows it. */
export function toV0Path(path: string): string {
  return v0Paths[path] ?? path;
}

const v0States: Readonly<Record<JobState, string>> = {
  pending: "queued",
  queued: "queued",
  assigned: "queued",
  running: "running",
  cancelling: "running",
  completed: "finished",
  failed: "failed",
  timeout: "failed",
  cancelled: "failed",
  abandoned: "failed",
};

/** Tells apart what version 0 calls failed. */
const v0Errors: Readonly<Record<string, string>> = {
  timeout: "TIMEOUT",
  cancelled: "CANCELLED",
  abandoned: "WORKER_LOST",
};

/** What a client of protocol version 0 is told about a state. */
export function toV0State(state: JobState): string {
  return v0States[state];
}

/** A result as a client of protocol version 0 knows it: state names of its own, and no more of an error than this. */
export function encodeV0Result(result: JobResult): Record<string, unknown> {
  const { status, error } = result;
  const code = v0Errors[status] ?? error?.code;
  return {
    job_id: result.jobId,
    state: toV0State(status),
    created_at: result.createdAt,
    started_at: result.startedAt ?? null,
    finished_at: result.finishedAt,
    exit_code: result.exitCode ?? null,
    stdout: result.stdout ?? "",
    stderr: result.stderr ?? "",
    error:
      code === undefined
        ? null
        : { code, message: error?.message ?? `The job ended as ${status}.` },
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
