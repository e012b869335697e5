/** A value of a workflow input. */
export type InputValue = string | number | boolean;

/** A workflow as it was found: a file of a repository. */
export interface WorkflowDef {
  /** Path of the file in its repository, e.g. `.github/workflows/ci.yml` */
  readonly path: string;
  readonly repoId: string;
  readonly name: string;
  readonly triggers: readonly WorkflowTrigger[];
  /** The file's text */
  readonly yaml: string;
}

/** What starts a workflow. */
export type WorkflowTrigger =
  | {
      readonly type: "repositoryEvent";
      readonly event: "clone" | "push" | "commit" | "merge" | "pullRequest" | "tag";
      /** Of branches or tags. @default all */
      readonly pattern?: string | undefined;
    }
  | { readonly type: "workflowDispatch"; readonly inputs: readonly WorkflowInput[] }
  /** Five fields of cron, in UTC */
  | { readonly type: "schedule"; readonly cron: string }
  | {
      readonly type: "trainingProgress";
      readonly modelId: string;
      readonly minStep?: number | undefined;
    }
  | { readonly type: "metricsBreach"; readonly metric: string; readonly threshold: number }
  | {
      readonly type: "workerLifecycle";
      readonly eventFilter?: string | undefined;
      readonly entityType?: string | undefined;
    }
  /** Any topic of the event bus */
  | { readonly type: "custom"; readonly topic: string; readonly pattern?: string | undefined };

/** An input that whoever starts the workflow may give. */
export interface WorkflowInput {
  readonly name: string;
  readonly description?: string | undefined;
  readonly required: boolean;
  readonly default?: InputValue | undefined;
  readonly inputType: "string" | "boolean" | "number" | "choice" | "environment";
  /** The choices, with `inputType: "choice"` */
  readonly options?: readonly string[] | undefined;
}

/** A registered workflow in a list. */
export interface WorkflowInfo {
  /** `<repoId>:<path>` */
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly repoId: string;
  /** Whether its triggers start it */
  readonly enabled: boolean;
}
