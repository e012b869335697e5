import { jobJsonSchemas, jobStates, workerVersion } from "@longshore/core";
import type { ApiContent, ApiParameter, ApiRoute } from "./api-route.ts";

type Json = Record<string, unknown>;

/** What an API is called. */
export interface ApiTitle {
  readonly title: string;
  readonly description: string;
  /** Schemas of its own, by the names under which its routes have them */
  readonly schemas?: Readonly<Record<string, unknown>> | undefined;
}

/** The description of an API as OpenAPI 3.1, made of what its routes say and of the schemas that check the documents. */
export function openApiDocument(
  routes: readonly ApiRoute[],
  isOpen: boolean,
  about: ApiTitle,
): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.path.replaceAll("+}", "}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route, isOpen) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: about.title,
      version: workerVersion,
      description: about.description,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [
      { url: "/", description: "The root" },
      { url: "/api/v1", description: "The same" },
    ],
    tags: [...new Set(routes.map(({ description }) => description.tag))].map((name) => ({
      name,
      description: tags[name] ?? "Routes of another package",
    })),
    paths,
    components: {
      schemas: namedIn(paths, { ...schemas(), ...about.schemas }),
      ...(!isOpen && { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } }),
    },
  };
}

/** The schemas that are named in a part of the description, and those that are named in them. */
function namedIn(part: unknown, all: Json): Json {
  const named: Json = {};
  const collect = (text: string): void => {
    for (const [, name = ""] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (Object.hasOwn(named, name) || !Object.hasOwn(all, name)) continue;
      named[name] = all[name];
      collect(JSON.stringify(all[name]));
    }
  };
  collect(JSON.stringify(part));
  return named;
}

const tags: Readonly<Record<string, string>> = {
  master: "The master itself",
  polling: "What workers ask a master",
  worker: "The worker itself",
  jobs: "What it is given to do",
  admin: "Stopping it",
};

function operation({ access, description }: ApiRoute, isOpen: boolean): Json {
  const { operationId, summary, tag, parameters, requestBody, responses } = description;
  return {
    operationId,
    summary,
    tags: [tag],
    security: access === "public" || isOpen ? [] : [{ bearer: [] }],
    ...(parameters !== undefined && { parameters: parameters.map(parameter) }),
    ...(requestBody !== undefined && {
      requestBody: { required: requestBody.required, content: content(requestBody.content) },
    }),
    responses: Object.fromEntries(
      Object.entries(responses).map(([status, response]) => [
        status,
        {
          description: response.description,
          ...(response.content !== undefined && { content: content(response.content) }),
        },
      ]),
    ),
  };
}

function parameter({ name, in: place, description, schema = { type: "string" } }: ApiParameter) {
  return { name, in: place, description, schema, ...(place === "path" && { required: true }) };
}

function content(types: ApiContent): Json {
  return Object.fromEntries(
    Object.entries(types).map(([type, { schema }]) => [
      type,
      {
        schema:
          typeof schema === "string" ? { $ref: `#/components/schemas/${schema}` } : (schema ?? {}),
      },
    ]),
  );
}

function bare(schema: Json): Json {
  const { $schema: _schema, $id: _id, ...rest } = schema;
  return rest;
}

const text = { type: "string" } as const;
const number = { type: "number" } as const;
const maybeNumber = { type: ["number", "null"] } as const;
const time = { type: "string", format: "date-time" } as const;

function schemas(): Json {
  const jobState = { enum: [...jobStates] };
  return {
    Job: bare(jobJsonSchemas.job()),
    Result: bare(jobJsonSchemas.result()),
    Event: bare(jobJsonSchemas.event()),
    Error: bare(jobJsonSchemas.error()),
    ErrorAnswer: object({ error: { $ref: "#/components/schemas/Error" }, request_id: text }),
    Accepted: object(
      { accepted: { const: true }, job_id: text, state: text, location: text },
      {
        deduplicated: { type: "boolean" },
        warnings: { type: "array", items: text },
        retry_of: text,
      },
    ),
    JobState: object({ job_id: text, state: text }, { note: text }),
    JobSummary: object(
      {
        job_id: text,
        operation: text,
        namespace: text,
        state: jobState,
        attempt: { type: "integer" },
        max_attempts: { type: "integer" },
        priority: { type: "integer" },
        worker_id: text,
        created_at: time,
        accepted_at: time,
      },
      {
        name: text,
        labels: { type: "object", additionalProperties: text },
        started_at: time,
        finished_at: time,
        retry_of: text,
      },
    ),
    JobStatus: object(
      { job_id: text, state: text },
      {
        version: text,
        operation: text,
        attempt: { type: "integer" },
        not_before: time,
        history: { type: "array", items: { type: "object" } },
        error: { anyOf: [{ $ref: "#/components/schemas/Error" }, { type: ["object", "null"] }] },
      },
    ),
    JobPage: object(
      { jobs: { type: "array", items: { $ref: "#/components/schemas/JobSummary" } } },
      { next_cursor: text },
    ),
    ArtifactList: object({
      job_id: text,
      artifacts: {
        type: "array",
        items: object(
          { path: text, size: { type: "integer" }, sha256: text, location: text },
          { media_type: text },
        ),
      },
    }),
    Probe: object({ status: { enum: ["ok", "unavailable"] } }),
    WorkerInfo: object(
      {
        worker_id: text,
        hostname: text,
        os: text,
        os_architecture: text,
        protocol_version: { const: 1 },
        cpu_threads: number,
        memory_mb: number,
        labels: { type: "object", additionalProperties: text },
        label_list: { type: "array", items: text },
        version: text,
        api_versions: { type: "array", items: text },
        pool: text,
        capabilities: { type: "object" },
        runtimes: { type: "array", items: text },
        operations: { type: "array", items: text },
        started_at: time,
      },
      { cpu_model: { type: ["string", "null"] }, cpu_cores: maybeNumber },
    ),
    Health: object(
      {
        status: { enum: ["ok", "degraded", "unhealthy", "draining", "stopping"] },
        uptime_seconds: number,
        load_average: { type: "array", items: number, minItems: 3, maxItems: 3 },
        running_jobs: number,
        max_concurrent_jobs: number,
        temperature_c: maybeNumber,
        health_protocol_version: { const: 2 },
        timestamp_unix_ms: number,
        cpu_threads: number,
        memory_total_mb: number,
        memory_available_mb: number,
        jobs_disk_total_mb: maybeNumber,
        jobs_disk_available_mb: maybeNumber,
        state: text,
        queued_jobs: number,
        draining: { type: "boolean" },
        checks: { type: "object" },
      },
      { jobs_path: { type: ["string", "null"] } },
    ),
  };
}

function object(required: Json, optional: Json = {}): Json {
  return {
    type: "object",
    required: Object.keys(required),
    properties: { ...required, ...optional },
  };
}
