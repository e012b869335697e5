import { decodeJobDocument, encodeJobDocument } from "./codec.ts";
import { operationSchema } from "./job-document-schema.ts";
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
import { createJobId, isJobId } from "./job-id.ts";
import { withPayloadDefaults } from "./parse-job-document.ts";
import { issuesError } from "./validation-error.ts";

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
  const { operation, data, payloadType, jobId = createJobId(), execution, ...rest } = input;
  const document: JobDocument = {
    version: "1.0",
    jobId,
    createdAt: input.createdAt ?? new Date().toISOString(),
    kind: "Job",
    operation,
    payload: { type: payloadType ?? `${operation}.v1`, data: data === undefined ? {} : data },
    execution:
      execution === undefined
        ? defaultExecution
        : {
            ...defaultExecution,
            ...execution,
            retry: { ...defaultRetry, ...execution.retry },
          },
    ...definedIn(rest),
  };
  if (isSimple(input)) {
    checkNames(document);
    return document;
  }
  return withPayloadDefaults(decodeJobDocument(encodeJobDocument(document)));
}

/** Whether only names and data are given, which need no schema to be checked: the hot path. */
function isSimple(input: JobInput): boolean {
  for (const key in input) {
    if (key !== "operation" && key !== "data" && key !== "jobId") return false;
  }
  return true;
}

function checkNames({ operation, jobId }: JobDocument): void {
  const parsed = operationSchema.safeParse(operation);
  if (!parsed.success) {
    const message = parsed.error.issues[0]?.message ?? "is not an operation";
    throw issuesError([{ path: "operation", code: "invalid_format", message }]);
  }
  if (!isJobId(jobId)) {
    throw issuesError([
      {
        path: "job_id",
        code: "invalid_format",
        message: "expected 1 to 128 letters, digits and ._- without two dots in a row",
      },
    ]);
  }
}

function definedIn(rest: Omit<JobInput, "operation" | "data">): Partial<JobDocument> {
  const defined = Object.entries(rest).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined);
}
