import type { Readable } from "node:stream";
import type { JobDocument } from "../job/job-document.ts";
import type { Artifact, JobOutcome } from "../job/job-result.ts";
import type { Logger } from "../telemetry/logger.ts";

/** One progress report. */
export interface ProgressReport {
  /** Short name of what is going on, e.g. `"disk_inspection"` */
  readonly phase: string;
  /** Clamped to 0–100; a value below the last one of the attempt is shown as that one */
  readonly percent?: number | undefined;
  readonly message?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** Content of an artifact; streams are not buffered. */
export type ArtifactSource = string | Uint8Array | Readable | AsyncIterable<Uint8Array | string>;

export interface ArtifactOptions {
  readonly mediaType?: string | undefined;
}

/**
 * What a handler can see and do while it runs one attempt of one job.
 *
 * When the attempt is over, or was given up on, nothing here has an effect any more: reports are ignored, `artifact`,
 * `saveCheckpoint` and a first look at `workDir` fail with `STATE_CONFLICT`.
 */
export interface HandlerContext {
  readonly jobId: string;
  readonly operation: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly workerId: string;
  /** The whole document; treat it as untrusted */
  readonly document: JobDocument;
  /**
   * Aborts when the attempt must end: time-out, deadline, cancel, lost lease, shutdown. `reason` is a `LongshoreError`
   * with that code. A handler that does not end within the worker's grace time is given up on.
   */
  readonly signal: AbortSignal;
  /** Writes to the worker's log, with the job's id on each entry */
  readonly logger: Logger;
  /** An empty directory of this attempt's own; removed afterwards, whatever happens */
  readonly workDir: string;
  /** What an earlier attempt saved, if any */
  readonly checkpoint: unknown;

  /** Shows where the job stands. At most 10 a second leave the worker; of a burst the last one wins. */
  progress(report: ProgressReport): void;
  /** Adds a line to the job's own log, visible to whoever follows the job. */
  log(message: string, details?: Readonly<Record<string, unknown>>): void;
  /**
   * Stores a file with the job's result.
   *
   * @param path relative, below the job's artifacts; `..`, absolute paths and NUL are refused
   * Wait for it: what is still being written when `execute` and `cleanup` are over is left out.
   *
   * @throws {LongshoreError} `VALIDATION_ERROR` for the path or media type, `LIMIT_EXCEEDED`, `IO_ERROR`,
   *   `STATE_CONFLICT` when the attempt is over or the path is being written already
   */
  artifact(path: string, source: ArtifactSource, options?: ArtifactOptions): Promise<Artifact>;
  /** Says that the handler is alive; `progress` and `log` say so too. */
  heartbeat(): void;
  /**
   * Keeps a JSON value for the next attempt, durably.
   *
   * @throws {LongshoreError} `STATE_CONFLICT`, `IO_ERROR`, `SERIALIZATION_ERROR`, `LIMIT_EXCEEDED`
   */
  saveCheckpoint(value: unknown): Promise<void>;
  /**
   * Adds to the result, also when the handler throws afterwards, e.g. exit code and output of a process.
   *
   * @throws {LongshoreError} `SERIALIZATION_ERROR`, `LIMIT_EXCEEDED`
   */
  report(outcome: JobOutcome): void;
}
