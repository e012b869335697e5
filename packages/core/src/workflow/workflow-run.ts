/** Where a run, job or step stands; the same words as on the wire. */
export type WorkflowStatus =
  | "queued"
  | "in_progress"
  | "success"
  | "failure"
  | "cancelled"
  | "skipped"
  | "timed_out";

/** One run of a workflow. */
export interface WorkflowRun {
  readonly id: string;
  readonly workflowId: string;
  readonly status: WorkflowStatus;
  /** Number of this try of the run, from 1; running failed jobs again adds one */
  readonly attempt: number;
  readonly startedAtMs?: number | undefined;
  readonly completedAtMs?: number | undefined;
  readonly jobs: readonly WorkflowJobRun[];
}

export interface WorkflowJobRun {
  readonly name: string;
  readonly status: WorkflowStatus;
  readonly steps: readonly WorkflowStepRun[];
}

export interface WorkflowStepRun {
  readonly name: string;
  readonly status: WorkflowStatus;
  /** Absent until the step ended, and for steps that run no process */
  readonly exitCode?: number | undefined;
}
