import { isoTime } from "../iso-time.ts";
import { checkJobField } from "./codec.ts";
import type {
  JobAudit,
  JobConstraints,
  JobDocument,
  JobExecution,
  JobMetadata,
  JobObservability,
  JobRetry,
  JobRouting,
  JobRuntime,
  JobSignature,
} from "./job-document.ts";
import { createJobId } from "./job-id.ts";
import { issuesError, type ValidationIssue } from "./validation-error.ts";

/** What a program says to have a job done; everything else has a default. */
export interface JobInput {
  /** What to do, e.g. `"system.echo"` */
  readonly operation: string;
  /** Input of the handler. @default {} */
  readonly data?: unknown;
  /** Schema name of `data`. @default `<operation>.v1` */
  readonly payloadType?: string | undefined;
  /** @default "job-" and a ULID */
  readonly jobId?: string | undefined;
  /** RFC 3339. @default now */
  readonly createdAt?: string | undefined;
  readonly metadata?: JobMetadata | undefined;
  readonly execution?:
    | (Partial<Omit<JobExecution, "retry">> & { readonly retry?: Partial<JobRetry> | undefined })
    | undefined;
  readonly constraints?: JobConstraints | undefined;
  readonly routing?: JobRouting | undefined;
  readonly runtime?: (Partial<JobRuntime> & Pick<JobRuntime, "mode">) | undefined;
  readonly observability?: JobObservability | undefined;
  readonly audit?: JobAudit | undefined;
  readonly signature?: JobSignature | undefined;
}

const defaultRetry: JobRetry = { baseMs: 1_000, factor: 2, maxMs: 300_000, jitter: 0.2 };
const defaultExecution: JobExecution = {
  attempt: 1,
  maxAttempts: 1,
  queueTimeoutSeconds: 300,
  priority: 5,
  cancellable: true,
  retry: defaultRetry,
};

/**
 * A complete, checked job document.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` with `details.issues`, in wire names
 */
export function createJobDocument(input: JobInput): JobDocument {
  const { operation, data, payloadType, jobId, createdAt, execution, ...rest } = input;
  const document: Record<string, unknown> = {
    version: "1.0",
    jobId: jobId ?? createJobId(),
    createdAt: createdAt ?? isoTime(Date.now()),
    kind: "Job",
    operation,
    payload: { type: payloadType ?? `${operation}.v1`, data: data === undefined ? {} : data },
    execution: execution ?? defaultExecution,
  };
  const issues: ValidationIssue[] = [];
  const check = (name: string): void => {
    const checked = checkJobField(name, document[name]);
    if (checked.issues === undefined) document[name] = checked.value;
    else issues.push(...checked.issues);
  };
  check("operation");
  check("payload");
  if (jobId !== undefined) check("jobId");
  if (createdAt !== undefined) check("createdAt");
  if (execution !== undefined) check("execution");
  for (const [name, value] of Object.entries(rest)) {
    if (value === undefined) continue;
    document[name] = value;
    check(name);
  }
  if (issues.length > 0) throw issuesError(issues);
  return document as unknown as JobDocument;
}
