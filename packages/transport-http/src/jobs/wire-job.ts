import {
  encodeJobError,
  encodeJobResult,
  encodeV0Result,
  toV0State,
  type JobRecord,
} from "@longshore/core";

/** Whether whoever submitted a job speaks version 0 of the protocol. */
function isV0(record: JobRecord): boolean {
  const { document } = record;
  return "original" in document && document.original !== undefined;
}

/** The name of a job's state as its client knows it. */
export function wireState(record: JobRecord): string {
  return isV0(record) ? toV0State(record.state) : record.state;
}

/** Where a job is told of. */
export function jobLocation(jobId: string): string {
  return `/jobs/${encodeURIComponent(jobId)}`;
}

/** A job in a list: what it is and how far, without its output. */
export function jobSummary(record: JobRecord): Record<string, unknown> {
  const { document, state, attempt, owner, acceptedAtMs, startedAtMs, finishedAtMs } = record;
  const { name, namespace = "default", labels, annotations } = document.metadata ?? {};
  const retryOf = annotations?.[retryOfAnnotation];
  return {
    job_id: record.jobId,
    operation: document.operation,
    namespace,
    ...(name !== undefined && { name }),
    ...(labels !== undefined && { labels }),
    state,
    attempt,
    max_attempts: document.execution.maxAttempts,
    priority: document.execution.priority,
    worker_id: owner,
    created_at: document.createdAt,
    accepted_at: time(acceptedAtMs),
    ...(startedAtMs !== undefined && { started_at: time(startedAtMs) }),
    ...(finishedAtMs !== undefined && { finished_at: time(finishedAtMs) }),
    ...(retryOf !== undefined && { retry_of: retryOf }),
  };
}

/** Where a job stands. A client of version 0 gets its own document, which is the result once there is one. */
export function jobStatus(record: JobRecord): Record<string, unknown> {
  if (isV0(record)) return v0Status(record);
  const { result, notBeforeMs, history } = record;
  return {
    version: "1.0",
    ...jobSummary(record),
    ...(notBeforeMs !== undefined && { not_before: time(notBeforeMs) }),
    ...(history.length > 0 && {
      history: history.map(({ attempt, workerId, startedAt, finishedAt, status, error }) => ({
        attempt,
        worker_id: workerId,
        started_at: startedAt,
        finished_at: finishedAt,
        status,
        error: error === undefined ? undefined : encodeJobError(error),
      })),
    }),
    ...(result?.error !== undefined && { error: encodeJobError(result.error) }),
  };
}

function v0Status(record: JobRecord): Record<string, unknown> {
  const { jobId, document, startedAtMs, result } = record;
  if (result !== undefined) return encodeV0Result(result);
  return {
    job_id: jobId,
    state: toV0State(record.state),
    created_at: document.createdAt,
    started_at: startedAtMs === undefined ? null : time(startedAtMs),
    finished_at: null,
    exit_code: null,
    stdout: "",
    stderr: "",
    error: null,
  };
}

/** Names the job that a job is another try of. */
export const retryOfAnnotation = "longshore.dev/retry-of";

function time(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** The result as the job's client knows it. */
export function resultDocument(record: JobRecord): Record<string, unknown> {
  const { result } = record;
  if (result === undefined) return jobStatus(record);
  return isV0(record) ? encodeV0Result(result) : encodeJobResult(result);
}
