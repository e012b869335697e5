import {
  activeTraceparent,
  type HandlerContext,
  type JobRuntime,
  type KeyValue,
} from "@longshore/core";
import type { JobPlace } from "./job-place.ts";
import { invalid } from "./sandbox-wishes.ts";

/**
 * What a job adds to its image's environment: its own `env`, then its parameters, the host's, and what it cannot change.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function jobEnvironment(
  context: HandlerContext,
  runtime: JobRuntime,
  parts: {
    readonly place: JobPlace;
    readonly params: Readonly<Record<string, string>>;
    readonly host: Readonly<Record<string, string>>;
  },
): readonly KeyValue[] {
  const own: Record<string, string> = {};
  for (const [name, value] of Object.entries(runtime.env ?? {})) {
    if (name === "" || /[=\0]/.test(name)) throw invalid("runtime.env", "has a name that is none");
    // The job's own is left out; the image's stays, for the CRI has no word to take it away.
    if (value === null) continue;
    own[name] = String(value);
    if (own[name].includes("\0")) {
      throw invalid(`runtime.env.${name}`, "must not contain NUL");
    }
  }
  const traceparent = activeTraceparent() ?? context.document.observability?.traceparent;
  const all = {
    ...own,
    ...parts.params,
    ...parts.host,
    WORKER_JOB_ID: context.jobId,
    WORKER_OPERATION: context.operation,
    WORKER_ATTEMPT: String(context.attempt),
    WORKER_ID: context.workerId,
    WORKER_WORK_DIR: parts.place.inside,
    WORKER_ARTIFACTS_DIR: parts.place.artifactsInside,
    ...(traceparent !== undefined && { TRACEPARENT: traceparent }),
  };
  return Object.entries(all).map(([key, value]) => ({ key, value }));
}
