import type { JobObservability } from "./job-document.ts";

/** One line of a job's story. `sequence` grows by exactly 1 per job, across kinds and attempts, from 0. */
export interface JobEvent {
  readonly jobId: string;
  readonly kind: "progress" | "state" | "log" | "artifact" | "step";
  /** RFC 3339 */
  readonly timestamp: string;
  readonly sequence: number;
  readonly attempt: number;
  readonly workerId: string;
  /** Short name of what is going on, e.g. `"disk_inspection"` */
  readonly phase: string;
  /** 0–100; never goes down within an attempt */
  readonly progressPercent?: number | undefined;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly observability?: JobObservability | undefined;
}
