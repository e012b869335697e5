/** How a job is run: in the worker's own process, or in something the worker starts for it. */
export type RuntimeMode = "handler" | "process" | "image" | "build" | "sandbox";

/** A JSON value: what a payload may hold. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/**
 * A job as it was asked for: version 1 of the job document, with names in camelCase and defaults filled in.
 *
 * Fields this version does not know are kept under their wire names and go out again unchanged.
 */
export interface JobDocument {
  /** Protocol version, `"1.x"` */
  readonly version: string;
  /** 1–128 of `A-Z a-z 0-9 . _ -`, starts with a letter or digit, never contains `..` */
  readonly jobId: string;
  /** RFC 3339 time at which the client made the job */
  readonly createdAt: string;
  /** @default "Job" */
  readonly kind: string;
  /** What to do: lower-case names joined by dots, e.g. `"system.echo"` */
  readonly operation: string;
  readonly payload: JobPayload;
  readonly metadata?: JobMetadata | undefined;
  readonly execution: JobExecution;
  readonly constraints?: JobConstraints | undefined;
  readonly routing?: JobRouting | undefined;
  readonly runtime?: JobRuntime | undefined;
  readonly observability?: JobObservability | undefined;
  readonly audit?: JobAudit | undefined;
  readonly signature?: JobSignature | undefined;
  /** The document as it came in, when it was converted from an older protocol version */
  readonly original?: unknown;
}

export interface JobPayload {
  /** Schema name of `data`, e.g. `"system.echo.v1"`. @default `<operation>.v1` */
  readonly type: string;
  /** Input of the handler. @default {} */
  readonly data: unknown;
}

export interface JobMetadata {
  readonly name?: string | undefined;
  /** @default "default" */
  readonly namespace?: string | undefined;
  /** Kubernetes label syntax */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface JobExecution {
  /** At most 256 characters; counts within one namespace and operation */
  readonly idempotencyKey?: string | undefined;
  /** Number of this try, from 1. @default 1 */
  readonly attempt: number;
  /** Tries in all, 1–100. @default 1 */
  readonly maxAttempts: number;
  /** Run time allowed to one attempt; the worker's default applies when absent */
  readonly timeoutSeconds?: number | undefined;
  /** Time allowed before the job starts. @default 300 */
  readonly queueTimeoutSeconds: number;
  /** RFC 3339 time after which the job is not started and a run is stopped */
  readonly deadline?: string | undefined;
  /** RFC 3339 time before which the job is not started */
  readonly notBefore?: string | undefined;
  /** 1 (last) to 10 (first). @default 5 */
  readonly priority: number;
  /** Whether a running job may be cancelled. @default true */
  readonly cancellable: boolean;
  readonly retry: JobRetry;
  /** Longest silence allowed to a running handler */
  readonly heartbeatTimeoutSeconds?: number | undefined;
}

/** Delay before attempt n+1: `min(maxMs, baseMs * factor^(n-1))`, plus or minus `jitter` of itself. */
export interface JobRetry {
  /** @default 1000 */
  readonly baseMs: number;
  /** @default 2 */
  readonly factor: number;
  /** @default 300000 */
  readonly maxMs: number;
  /** Share of the delay, 0–1. @default 0.2 */
  readonly jitter: number;
  /** Error codes that are tried again; each code's own default applies when absent */
  readonly on?: readonly string[] | undefined;
}

export interface JobConstraints {
  readonly requiredCapabilities?: readonly string[] | undefined;
  readonly requiredFeatures?: readonly string[] | undefined;
  /** Runtime name to semver range, or `"*"` */
  readonly requiredRuntimes?: Readonly<Record<string, string>> | undefined;
  readonly minimumWorkerVersion?: string | undefined;
  readonly maximumDiskSizeGb?: number | undefined;
  readonly requirePrivileged?: boolean | undefined;
  readonly allowedWorkerPools?: readonly string[] | undefined;
}

export interface JobRouting {
  readonly workerId?: string | undefined;
  readonly workerPool?: string | undefined;
  readonly selector?: Readonly<Record<string, string>> | undefined;
  readonly tolerations?: readonly unknown[] | undefined;
  readonly affinity?: unknown;
  readonly antiAffinity?: unknown;
}

export interface JobRuntime {
  /** @default "handler" */
  readonly mode: RuntimeMode;
  /** Runtime of mode `process`, e.g. `"python"` */
  readonly runtime?: string | undefined;
  /** OCI image reference */
  readonly image?: string | undefined;
  readonly build?: unknown;
  readonly sandbox?: unknown;
  readonly cmd?: readonly string[] | undefined;
  readonly args?: readonly string[] | undefined;
  readonly cwd?: string | undefined;
  readonly user?: string | undefined;
  /** Values are made strings; `null` removes the variable */
  readonly env?: Readonly<Record<string, string | number | boolean | null>> | undefined;
  /** Relative path to content, laid down before the start */
  readonly files?: Readonly<Record<string, JobFile>> | undefined;
  readonly input?: { readonly stdin: "payload" | "job" | "none" } | undefined;
  readonly params?:
    | {
        readonly delivery: "stdin" | "file" | "env";
        readonly format: "json" | "yaml" | "dotenv";
      }
    | undefined;
  readonly output?:
    | {
        readonly format: "text" | "json" | "yaml" | "jsonl";
        /** Globs below the artifacts directory */
        readonly artifacts: readonly string[];
      }
    | undefined;
  readonly limits?: JobLimits | undefined;
}

export interface JobFile {
  readonly content?: string | undefined;
  readonly base64?: string | undefined;
  readonly url?: string | undefined;
  /** Permission bits as an octal string, e.g. `"0755"`. @default "0644" */
  readonly mode?: string | undefined;
}

export interface JobLimits {
  /** MiB */
  readonly memoryMb?: number | undefined;
  readonly maxRuntimeSeconds?: number | undefined;
  readonly cpus?: number | undefined;
  readonly pids?: number | undefined;
  /** @default 10485760 */
  readonly maxStdoutBytes?: number | undefined;
  /** @default 10485760 */
  readonly maxStderrBytes?: number | undefined;
  /** MiB */
  readonly diskMb?: number | undefined;
  readonly network?: string | undefined;
}

export interface JobObservability {
  /** W3C trace context */
  readonly traceparent?: string | undefined;
  readonly traceId?: string | undefined;
  readonly spanId?: string | undefined;
  readonly parentSpanId?: string | undefined;
  readonly correlationId?: string | undefined;
}

export interface JobAudit {
  readonly submittedBy?: string | undefined;
  readonly submittedFrom?: string | undefined;
  readonly authorization?:
    | { readonly method?: string | undefined; readonly subject?: string | undefined }
    | undefined;
}

export interface JobSignature {
  readonly algorithm: "ed25519";
  readonly publicKeyId: string;
  readonly value: string;
}
