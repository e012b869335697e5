import semver from "semver";
import { z } from "zod";
import type { RuntimeMode } from "./job-document.ts";
import { jobIdPattern } from "./job-id.ts";

// Patterns keep to what every regular expression engine knows, RE2 too: they are published in the JSON Schemas. What
// they cannot say is said by a refinement.
const operationPattern = /^[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)+$/;
const payloadTypePattern = /^[a-z0-9_-]+(\.[a-z0-9_-]+)+\.v\d+$/;
const dnsLabel = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?";
const labelName = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";
const labelKeyPattern = new RegExp(`^(${dnsLabel}(\\.${dnsLabel})*/)?${labelName}$`);
const labelValuePattern = new RegExp(`^(${labelName})?$`);
const namespacePattern = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const envNamePattern = /^[A-Za-z_][A-Za-z0-9_]*$/;
const pathSegment = String.raw`([^./\\][^/\\]*|\.[^./\\][^/\\]*|\.\.[^/\\]+)`;
const relativePathPattern = new RegExp(`^${pathSegment}(/${pathSegment})*$`);

const dateTime = z.iso.datetime({ offset: true, error: "expected an RFC 3339 date and time" });
const name = z.string().min(1).max(253);
const count = z.int().min(1);
/** What a process is started with cannot hold NUL. */
const text = z.string().refine((value) => !value.includes("\0"), "must not contain NUL");

const labelKey = z
  .string()
  .max(317)
  .regex(labelKeyPattern, "expected a Kubernetes label key")
  .refine((key) => key.lastIndexOf("/") <= 253, "must not have a prefix longer than 253");
const labelValue = z.string().regex(labelValuePattern, "expected a Kubernetes label value");

const relativePath = z
  .string()
  .max(1_024)
  .regex(relativePathPattern, "expected a relative path with / between names, none of them . or ..")
  .refine((path) => !path.includes("\0"), "must not contain NUL");

const semverRange = z
  .string()
  .max(128)
  .refine(
    (range) => range === "*" || semver.validRange(range) !== null,
    "expected a semver range, or *",
  );

/** Every mode there is. */
export const runtimeModes: readonly [RuntimeMode, ...RuntimeMode[]] = [
  "handler",
  "process",
  "image",
  "build",
  "sandbox",
];

const operationSchema: z.ZodString = z
  .string()
  .max(200)
  .regex(operationPattern, "expected lower-case names joined by dots, like system.echo");

export const jobIdSchema: z.ZodString = z
  .string()
  .max(128)
  .regex(
    jobIdPattern,
    "expected 1 to 128 letters, digits and ._- that start with a letter or digit, without ..",
  );

/** A map of free keys, of bounded size. */
function mapOf<Value extends z.ZodType>(
  keys: z.ZodString,
  values: Value,
  maxEntries: number,
): z.ZodRecord<z.ZodString, Value> {
  return z
    .record(keys, values)
    .refine((map) => Object.keys(map).length <= maxEntries, {
      message: `must have at most ${maxEntries} entries`,
    })
    .meta({ maxProperties: maxEntries });
}

const payload = z.looseObject({
  type: z
    .string()
    .max(210)
    .regex(payloadTypePattern, "expected dotted names that end in .v1, .v2, …")
    .optional()
    .describe("Schema name of `data`; `<operation>.v1` when absent"),
  data: z.unknown().optional().describe("Input of the handler; {} when absent"),
});

const metadata = z.looseObject({
  name: name.optional().describe("A name for people"),
  namespace: name
    .regex(namespacePattern, "expected letters, digits and ._- between letters or digits")
    .optional()
    .describe("Scope of idempotency keys and policies; `default` when absent"),
  labels: mapOf(labelKey, labelValue, 256).optional().describe("Kubernetes labels"),
  annotations: mapOf(z.string().max(253), z.string(), 256).optional().describe("Free texts"),
});

const retry = z.looseObject({
  base_ms: z.int().min(0).default(1_000).describe("Delay before the second attempt"),
  factor: z.number().min(1).max(100).default(2).describe("Growth of the delay per attempt"),
  max_ms: z.int().min(0).default(300_000).describe("Longest delay"),
  jitter: z.number().min(0).max(1).default(0.2).describe("Share of the delay it may vary by"),
  on: z.array(z.string().max(64)).max(64).optional().describe("Error codes to try again after"),
});

const execution = z
  .looseObject({
    idempotency_key: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe("Jobs of one namespace and operation with the same key run once"),
    attempt: count.max(100).default(1).describe("Number of this try"),
    max_attempts: count.max(100).default(1).describe("Tries in all"),
    timeout_seconds: count.optional().describe("Run time of one attempt"),
    queue_timeout_seconds: count.default(300).describe("Time to wait for a start"),
    deadline: dateTime.optional().describe("Not started after this, and stopped at it"),
    not_before: dateTime.optional().describe("Not started before this"),
    priority: z.int().min(1).max(10).default(5).describe("10 goes first"),
    cancellable: z.boolean().default(true).describe("Whether a running job may be cancelled"),
    retry: retry.prefault({}).describe("When and how fast to try again"),
    heartbeat_timeout_seconds: count.optional().describe("Longest silence of the handler"),
  })
  .refine((value) => value.attempt <= value.max_attempts, {
    path: ["attempt"],
    message: "must not be greater than max_attempts",
  });

const strings = z.array(z.string().min(1).max(256)).max(256);

const constraints = z.looseObject({
  required_capabilities: strings.optional().describe("Operations or features the worker must have"),
  required_features: strings.optional().describe("Features the worker must have"),
  required_runtimes: mapOf(z.string().min(1).max(64), semverRange, 64)
    .optional()
    .describe("Runtime name to semver range, or *"),
  minimum_worker_version: z
    .string()
    .max(64)
    .refine((version) => semver.coerce(version) !== null, "expected a version like 1.2.0")
    .optional()
    .describe("Lowest version of the worker"),
  maximum_disk_size_gb: z.number().min(0).optional().describe("Disk the job needs"),
  require_privileged: z.boolean().optional().describe("Whether the worker must be privileged"),
  allowed_worker_pools: strings.optional().describe("Pools whose workers may run it"),
});

const routing = z.looseObject({
  worker_id: name.optional().describe("The one worker that may run it"),
  worker_pool: name.optional().describe("The pool whose workers may run it"),
  selector: mapOf(z.string().max(317), z.string().max(253), 256)
    .optional()
    .describe("Labels the worker must have"),
  tolerations: z.array(z.unknown()).max(64).optional().describe("Taints it accepts"),
  affinity: z.unknown().optional().describe("Workers to prefer"),
  anti_affinity: z.unknown().optional().describe("Workers to avoid"),
});

const file = z
  .looseObject({
    content: z.string().optional().describe("Text"),
    base64: z.base64().optional().describe("Bytes"),
    url: z.url().max(2_048).optional().describe("Where to fetch it"),
    mode: z
      .string('expected octal permission bits as a string, like "0644"')
      .regex(/^0?[0-7]{3}$/, "expected octal permission bits like 0644")
      .optional()
      .describe("Permission bits; 0644 when absent"),
  })
  .refine(
    ({ content, base64, url }) =>
      [content, base64, url].filter((source) => source !== undefined).length === 1,
    "must have exactly one of content, base64 and url",
  );

/** Its form belongs to whoever runs the job; its names stay as they are. */
const free = z.record(z.string(), z.unknown());

const limits = z.looseObject({
  memory_mb: count.optional().describe("MiB of memory"),
  max_runtime_seconds: z.number().positive().optional().describe("Run time of one attempt"),
  cpus: z.number().positive().optional().describe("Processors"),
  pids: count.optional().describe("Processes and threads"),
  max_stdout_bytes: z
    .int()
    .min(0)
    .optional()
    .describe("Bytes of stdout to keep; 10 MiB when absent"),
  max_stderr_bytes: z
    .int()
    .min(0)
    .optional()
    .describe("Bytes of stderr to keep; 10 MiB when absent"),
  disk_mb: count.optional().describe("MiB of disk"),
  network: z.string().max(64).optional().describe("Network policy"),
});

const runtime = z
  .looseObject({
    mode: z
      .enum(runtimeModes)
      .default("handler")
      .describe("In the worker itself, or in what it starts"),
    runtime: z.string().min(1).max(64).optional().describe("Runtime of mode process"),
    image: z.string().min(1).max(512).optional().describe("OCI reference; needed in mode image"),
    build: free.optional().describe("What to build; needed in mode build"),
    sandbox: free.optional().describe("Kind and size of the sandbox, for mode sandbox"),
    cmd: z.array(text).max(1_024).optional().describe("Command"),
    args: z.array(text).max(1_024).optional().describe("Arguments after the command"),
    cwd: text.max(1_024).optional().describe("Working directory"),
    user: text.max(256).optional().describe("User to run as"),
    env: mapOf(
      z.string().max(256).regex(envNamePattern, "expected the name of an environment variable"),
      z.union([text, z.number(), z.boolean(), z.null()], {
        error: "expected a string without NUL, a number, a boolean or null",
      }),
      1_024,
    )
      .optional()
      .describe("Environment variables; null removes one"),
    files: mapOf(relativePath, file, 1_024)
      .optional()
      .describe("Files to lay down before the start, by relative path"),
    input: z
      .looseObject({
        stdin: z
          .enum(["payload", "job", "none"])
          .default("payload")
          .describe("What is written to standard input"),
      })
      .optional()
      .describe("Standard input"),
    params: z
      .looseObject({
        delivery: z.enum(["stdin", "file", "env"]).default("stdin").describe("How they arrive"),
        format: z.enum(["json", "yaml", "dotenv"]).default("json").describe("How they are written"),
      })
      .optional()
      .describe("Delivery of payload.data as parameters"),
    output: z
      .looseObject({
        format: z
          .enum(["text", "json", "yaml", "jsonl"])
          .default("text")
          .describe("How standard output is read"),
        artifacts: z
          .array(z.string().min(1).max(1_024))
          .max(256)
          .default([])
          .describe("Files to keep: globs below the artifacts directory"),
      })
      .optional()
      .describe("What becomes of the output"),
    limits: limits.optional().describe("What it may use"),
  })
  .refine(({ mode, image }) => mode !== "image" || image !== undefined, {
    path: ["image"],
    message: "is needed in mode image",
  })
  .refine(({ mode, build }) => mode !== "build" || build !== undefined, {
    path: ["build"],
    message: "is needed in mode build",
  });

const observability = z.looseObject({
  traceparent: z.string().max(256).optional().describe("W3C trace context"),
  trace_id: z.string().max(256).optional().describe("Trace"),
  span_id: z.string().max(256).optional().describe("Span"),
  parent_span_id: z.string().max(256).optional().describe("Span above"),
  correlation_id: z.string().max(256).optional().describe("Ties jobs of one cause together"),
});

const audit = z.looseObject({
  submitted_by: z.string().max(256).optional().describe("Who submitted it"),
  submitted_from: z.string().max(256).optional().describe("From where"),
  authorization: z
    .looseObject({
      method: z.string().max(64).optional().describe("How the submitter was known"),
      subject: z.string().max(256).optional().describe("As whom"),
    })
    .optional()
    .describe("On what grounds"),
});

const signature = z.looseObject({
  algorithm: z.literal("ed25519").describe("Always ed25519"),
  public_key_id: z.string().min(1).max(256).describe("Which key"),
  value: z.string().min(1).max(256).describe("Signature, base64url"),
});

/** The wire form of a job document, version 1. */
export const jobDocumentSchema: z.ZodObject = z
  .looseObject({
    version: z
      .string('expected the string "1.0" (in quotes, in YAML too)')
      .regex(/^1\.\d{1,4}$/, 'expected "1.0"')
      .describe("Version of the protocol"),
    job_id: jobIdSchema.describe("Name of the job; safe in a path"),
    created_at: dateTime.optional().describe("When the client made it; now when absent"),
    kind: z.string().min(1).max(64).default("Job").describe("Never interpreted"),
    operation: operationSchema.describe("What to do"),
    payload: payload.prefault({}).describe("Input"),
    metadata: metadata.optional().describe("Names and labels"),
    execution: execution.prefault({}).describe("When, how long and how often to run it"),
    constraints: constraints.optional().describe("What the worker must have"),
    routing: routing.optional().describe("Which worker is to run it"),
    runtime: runtime.optional().describe("How it is run"),
    observability: observability.optional().describe("Trace context"),
    audit: audit.optional().describe("Who wanted it"),
    signature: signature.optional().describe("Signature of everything else"),
    original: z.unknown().optional().describe("The document it was converted from"),
  })
  .meta({ title: "Job document", description: "A job, version 1 of the protocol" });
