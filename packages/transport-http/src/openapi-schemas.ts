import { jobJsonSchemas, jobStates } from "@longshore/core";

type Json = Record<string, unknown>;

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const whole = { type: "integer" } as const;
const number = { type: "number" } as const;
const maybeText = { type: ["string", "null"] } as const;
const maybeNumber = { type: ["number", "null"] } as const;
const time = { type: "string", format: "date-time" } as const;
const maybeTime = { anyOf: [time, { type: "null" }] } as const;
const texts = list(text);
const jobState = { enum: [...jobStates] } as const;

/** JSON Schema of everything that the API takes and answers, by name: documents of jobs by those that check them. */
export function apiSchemas(): Json {
  return {
    Job: bare(jobJsonSchemas.job()),
    Result: bare(jobJsonSchemas.result()),
    Event: bare(jobJsonSchemas.event()),
    Error: bare(jobJsonSchemas.error()),
    ...errorSchemas(),
    ...submissionSchemas(),
    ...jobSchemas(),
    ...workerSchemas(),
  };
}

function errorSchemas(): Json {
  return {
    ErrorAnswer: object(
      { error: ref("Error"), request_id: text },
      // Of a job that is not there, was refused, or is in another state
      { job_id: maybeText, state: text, accepted: { const: false } },
    ),
  };
}

function submissionSchemas(): Json {
  const accepted = { accepted: { const: true }, job_id: text, state: text, location: text };
  const odd = { warnings: texts };
  return {
    Accepted: object(accepted, { ...odd, retry_of: text }),
    Deduplicated: object(
      { ...accepted, deduplicated: { const: true } },
      { ...odd, result: { anyOf: [ref("Result"), ref("V0Job")] } },
    ),
    Checked: object({ valid: { const: true }, job_id: text, warnings: texts }),
    BatchAnswer: object({
      results: list({
        anyOf: [
          object({ status: { enum: [200, 202] }, ...accepted }, { ...odd, deduplicated: flag }),
          object({
            status: { type: "integer", minimum: 400 },
            accepted: { const: false },
            job_id: maybeText,
            state: { const: "rejected" },
            error: ref("Error"),
            request_id: text,
          }),
        ],
      }),
    }),
  };
}

function jobSchemas(): Json {
  const summary = {
    job_id: text,
    operation: text,
    namespace: text,
    state: jobState,
    attempt: whole,
    max_attempts: whole,
    priority: whole,
    worker_id: text,
    created_at: time,
    accepted_at: time,
  };
  const more = {
    name: text,
    labels: { type: "object", additionalProperties: text },
    started_at: time,
    finished_at: time,
    retry_of: text,
  };
  return {
    JobState: object({ job_id: text, state: text }, { note: text }),
    JobSummary: object(summary, more),
    JobStatus: object(
      { version: text, ...summary },
      { ...more, not_before: time, history: list(ref("Attempt")), error: ref("Error") },
    ),
    Attempt: object(
      { attempt: whole, worker_id: text, started_at: time, finished_at: time, status: text },
      { error: ref("Error") },
    ),
    V0Job: object({
      job_id: text,
      state: { enum: ["queued", "running", "finished", "failed"] },
      created_at: time,
      started_at: maybeTime,
      finished_at: maybeTime,
      exit_code: { type: ["integer", "null"] },
      stdout: text,
      stderr: text,
      error: { anyOf: [object({ code: text, message: text }), { type: "null" }] },
    }),
    JobPage: object({ jobs: list(ref("JobSummary")) }, { next_cursor: text, total: whole }),
    ArtifactList: object({
      job_id: text,
      artifacts: list(ref("Artifact")),
    }),
    Artifact: object(
      { path: text, size: whole, sha256: text, location: text },
      { media_type: text },
    ),
  };
}

function workerSchemas(): Json {
  return {
    Probe: object({ status: { enum: ["ok", "unavailable"] } }),
    Stopping: object({ worker_id: text, state: text }),
    Capabilities: object(
      {
        runtimes: texts,
        runtime_versions: { type: "object", additionalProperties: texts },
        interpreters: list({ type: "object" }),
        operations: texts,
        features: texts,
        formats: { type: "object", additionalProperties: texts },
        sandbox_backends: list({ type: "object" }),
        devices: { type: "object" },
        limits: object(
          { max_concurrent_jobs: whole, memory_mb: number, cpus: number },
          { max_disk_size_gb: number },
        ),
        privileged: flag,
        worker_version: text,
        protocol_versions: texts,
        data_locality: texts,
        extra: { type: "object" },
      },
      { worker_id: text },
    ),
    WorkerInfo: object({
      worker_id: text,
      hostname: text,
      os: text,
      os_architecture: text,
      protocol_version: { const: 1 },
      cpu_model: maybeText,
      cpu_cores: maybeNumber,
      cpu_threads: number,
      memory_mb: number,
      labels: { type: "object", additionalProperties: text },
      label_list: texts,
      version: text,
      api_versions: texts,
      pool: text,
      capabilities: ref("Capabilities"),
      runtimes: texts,
      operations: texts,
      started_at: time,
    }),
    Health: object({
      status: { enum: ["ok", "degraded", "unhealthy", "draining", "stopping"] },
      uptime_seconds: number,
      load_average: { type: "array", items: number, minItems: 3, maxItems: 3 },
      running_jobs: number,
      max_concurrent_jobs: number,
      temperature_c: maybeNumber,
      health_protocol_version: { const: 2 },
      timestamp_unix_ms: number,
      cpu_threads: number,
      dedicated_reserved_cpu_ids: list(whole),
      dedicated_reserved_count: whole,
      memory_total_mb: number,
      memory_available_mb: number,
      jobs_path: maybeText,
      jobs_disk_total_mb: maybeNumber,
      jobs_disk_available_mb: maybeNumber,
      docker_root_dir: maybeText,
      docker_disk_total_mb: maybeNumber,
      docker_disk_available_mb: maybeNumber,
      state: text,
      queued_jobs: number,
      draining: flag,
      checks: {
        type: "object",
        additionalProperties: object(
          { status: { enum: ["ok", "degraded", "unhealthy"] } },
          { message: text },
        ),
      },
    }),
  };
}

/** A schema that stands inside another document. */
function bare(schema: Json): Json {
  const { $schema: _schema, $id: _id, ...rest } = schema;
  return rest;
}

function ref(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function list(items: Json): Json {
  return { type: "array", items };
}

function object(required: Json, optional: Json = {}): Json {
  return {
    type: "object",
    required: Object.keys(required),
    properties: { ...required, ...optional },
  };
}
