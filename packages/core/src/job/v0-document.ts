import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobState } from "./job-state.ts";

/**
 * A version 0 document (`protocol_version: 1`, `task`, `runtime`) in the wire form of version 1. Its jobs get the
 * original document on standard input.
 *
 * @throws {LongshoreError} `UNSUPPORTED_PROTOCOL_VERSION`
 */
export function convertV0(wire: Record<string, unknown>): Record<string, unknown> {
  if (wire["protocol_version"] !== 1) {
    throw new LongshoreError(
      "UNSUPPORTED_PROTOCOL_VERSION",
      "The document has a protocol_version that is not 1.",
      { phase: "validation", details: { supported: ["1.0"] } },
    );
  }
  const { protocol_version: _version, task, runtime, ...rest } = wire;
  const { type, payload } = asObject(task);
  const { limits, ...how } = asObject(runtime);
  const { max_runtime_seconds: seconds, ...otherLimits } = asObject(limits);
  // In version 0, 0 means no limit of the job's own.
  const hasTimeout = typeof seconds === "number" && seconds > 0;
  return {
    ...rest,
    version: "1.0",
    operation: typeof type === "string" && !type.includes(".") ? `container.${type}` : type,
    payload: payload === undefined ? {} : { data: payload },
    runtime: {
      ...how,
      input: { stdin: "job" },
      limits: { ...otherLimits, ...(hasTimeout && { max_runtime_seconds: seconds }) },
    },
    execution: hasTimeout ? { timeout_seconds: Math.ceil(seconds) } : {},
    original: wire,
  };
}

/** State names of version 0, with the error code that tells apart what version 0 calls failed. */
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

/** What a client of protocol version 0 is told about a state. */
export function toV0State(state: JobState): string {
  return v0States[state];
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}
