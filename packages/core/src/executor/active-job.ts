import type { LongshoreError } from "../errors/longshore-error.ts";
import type { JobEventEmitter } from "../handler/job-event-emitter.ts";
import type { JobDocument } from "../job/job-document.ts";
import type { AttemptRecord } from "../job/job-result.ts";
import type { JobState } from "../job/job-state.ts";
import type { JobTransport } from "../transport/job-transport.ts";

/** The lease under which a transport handed a job to this worker. */
export interface JobLease {
  readonly transport: JobTransport;
  readonly leaseId: string;
}

/** An accepted job that has not ended: this worker's own view of its store record. */
export interface ActiveJob {
  readonly jobId: string;
  readonly document: JobDocument;
  readonly acceptedAtMs: number;
  readonly events: JobEventEmitter;
  state: JobState;
  attempt: number;
  /** When the current attempt could have started: acceptance, or the end of the wait before a retry */
  queuedAtMs: number;
  startedAtMs: number | undefined;
  history: readonly AttemptRecord[];
  checkpoint: unknown;
  lease: JobLease | undefined;
  /** Why it must end; known before the attempt is under way, or while it runs */
  stopReason: LongshoreError | undefined;
  /** Ends the attempt under way */
  stop: ((reason: LongshoreError) => void) | undefined;
  /** Its end is being written; nothing else may change it any more */
  isEnding: boolean;
}
