import type { JobError } from "../errors/job-error.ts";
import type { JobObservability } from "./job-document.ts";
import type { TerminalJobState } from "./job-state.ts";

/** A file that a job produced. */
export interface Artifact {
  /** Path below the artifacts directory, `/` between segments */
  readonly path: string;
  /** Bytes; 0 when the result names nothing but the path */
  readonly size: number;
  /** Hex digest of the content; empty when the result names nothing but the path */
  readonly sha256: string;
  readonly mediaType?: string | undefined;
}

/** What became of one attempt. */
export interface AttemptRecord {
  readonly attempt: number;
  readonly workerId: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  /** State the attempt ended in; `"queued"` when the job was put back for another try */
  readonly status: TerminalJobState | "queued";
  readonly error?: JobError | undefined;
}

export interface ExecutionSummary {
  readonly startedAt?: string | undefined;
  readonly durationSeconds: number;
  readonly durationMs: number;
  /** Time from acceptance to the start of the last attempt */
  readonly queueWaitMs: number;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly idempotencyKey?: string | undefined;
  /** Job whose result this is a copy of */
  readonly deduplicatedFrom?: string | undefined;
  readonly workerVersion: string;
}

/** What a handler hands back, and what a result carries besides the bookkeeping. */
export interface JobOutcome {
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
  readonly oomKilled?: boolean | undefined;
  readonly stdout?: string | undefined;
  readonly stderr?: string | undefined;
  readonly stdoutTruncated?: boolean | undefined;
  readonly stderrTruncated?: boolean | undefined;
  /** Bytes left out of `stdout` */
  readonly stdoutBytesTruncated?: number | undefined;
  readonly stderrBytesTruncated?: number | undefined;
  readonly outputs?:
    | {
        readonly primary?: string | undefined;
        readonly artifacts?: readonly Artifact[] | undefined;
      }
    | undefined;
  /** The handler's result value */
  readonly data?: unknown;
  readonly metrics?: Readonly<Record<string, number>> | undefined;
}

/** What became of a job: version 1 of the result document, with names in camelCase. */
export interface JobResult extends JobOutcome {
  readonly version: string;
  readonly jobId: string;
  readonly operation: string;
  readonly status: TerminalJobState;
  readonly workerId: string;
  readonly createdAt: string;
  readonly startedAt?: string | undefined;
  readonly finishedAt: string;
  readonly executionSummary: ExecutionSummary;
  readonly error?: JobError | undefined;
  /** One entry per attempt, oldest first */
  readonly history: readonly AttemptRecord[];
  readonly observability?: JobObservability | undefined;
  readonly signature?: unknown;
}
