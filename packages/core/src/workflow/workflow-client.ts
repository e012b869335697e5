import type { Abortable } from "../abortable.ts";
import type { InputValue, WorkflowDef, WorkflowInfo, WorkflowTrigger } from "./workflow.ts";
import type { WorkflowRun } from "./workflow-run.ts";

export interface ListRunsOptions extends Abortable {
  /** 1–500. @default 50 */
  readonly limit?: number | undefined;
  /** `next` of the page before */
  readonly cursor?: string | undefined;
}

/** Runs of a workflow, newest first. */
export interface RunPage {
  readonly runs: readonly WorkflowRun[];
  /** Absent on the last page */
  readonly next?: string | undefined;
}

/**
 * Finds, registers and runs workflows. A registered workflow, its subscriptions and its runs outlive the process.
 *
 * Changes to a workflow, run or repository that is not there reject with `NOT_FOUND`.
 */
export interface WorkflowClient extends AsyncDisposable {
  /**
   * Reads the workflows of a repository, without registering them. A file that is not a workflow is refused as a whole
   * with `VALIDATION_ERROR`, which names it.
   */
  scanRepo(repoId: string, options?: Abortable): Promise<readonly WorkflowDef[]>;
  /** Registers a workflow, or takes the place of the one with the same path. Resolves to its id, `<repoId>:<path>`. */
  registerWorkflow(definition: WorkflowDef, options?: Abortable): Promise<string>;
  listWorkflows(options?: Abortable): Promise<readonly WorkflowInfo[]>;
  /**
   * Starts a run and resolves to its id; the run is `queued` or further.
   *
   * @throws {LongshoreError} `VALIDATION_ERROR` for inputs that the workflow does not take, `QUEUE_FULL`
   */
  dispatch(
    workflowId: string,
    inputs?: Readonly<Record<string, InputValue>>,
    options?: Abortable,
  ): Promise<string>;
  /** Lets a trigger start a workflow, beside those of its own file. Resolves to the subscription's id. */
  subscribe(trigger: WorkflowTrigger, workflowId: string, options?: Abortable): Promise<string>;
  /** Idempotent. */
  unsubscribe(subscriptionId: string, options?: Abortable): Promise<void>;
  /** `undefined` for a run that is not there. */
  getRun(runId: string, options?: Abortable): Promise<WorkflowRun | undefined>;
  listRuns(workflowId: string, options?: ListRunsOptions): Promise<RunPage>;
  /** Stops what runs, and resolves when it is gone. @throws {LongshoreError} `NOT_CANCELLABLE` once it has ended */
  cancelRun(runId: string, options?: Abortable): Promise<void>;
  /** Runs the jobs that failed, and those that need them, once more as the next attempt of the same run. */
  rerunFailedJobs(runId: string, options?: Abortable): Promise<void>;
}
