import {
  createJobDocument,
  type JobDocument,
  type JobInput,
  type JobResult,
  type NewJob,
  type TerminalJobState,
} from "@longshore/core";

/** A valid document, as plain as can be. */
export function sampleDocument(input: Partial<JobInput> = {}): JobDocument {
  return createJobDocument({ operation: "test.sample", data: { n: 1 }, ...input });
}

/** A job ready to be inserted, owned by `owner`. */
export function sampleJob(owner: string, input: Partial<JobInput> = {}): NewJob {
  const nowMs = Date.now();
  return {
    document: sampleDocument(input),
    owner,
    acceptedAtMs: nowMs,
    leaseExpiresAtMs: nowMs + 60_000,
  };
}

/** A result for a document, as a worker would make it. */
export function sampleResult(
  document: JobDocument,
  status: TerminalJobState = "completed",
): JobResult {
  const finishedAt = new Date().toISOString();
  return {
    version: "1.0",
    jobId: document.jobId,
    operation: document.operation,
    status,
    workerId: "w",
    createdAt: document.createdAt,
    startedAt: finishedAt,
    finishedAt,
    executionSummary: {
      durationSeconds: 0,
      durationMs: 0,
      queueWaitMs: 0,
      attempt: 1,
      maxAttempts: document.execution.maxAttempts,
      workerVersion: "0.0.0",
    },
    data: { answer: document.jobId },
    history: [{ attempt: 1, workerId: "w", startedAt: finishedAt, finishedAt, status }],
    ...(status !== "completed" && {
      error: {
        code: "EXECUTION_ERROR",
        message: "it failed",
        recoverable: true,
        retryRecommended: true,
      },
    }),
  };
}
