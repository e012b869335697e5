import { LongshoreError, parseJobDocument, type ParsedJob } from "@longshore/core";
import { z } from "zod";
import type { ApiContext } from "../api-context.ts";
import { jsonAnswer, type ApiAnswer, type ApiRequest, type ApiRoute } from "../api-route.ts";
import { HttpError } from "../http-error.ts";
import { waitForJob } from "../jobs/wait-for-job.ts";
import { jobLocation, resultDocument, wireState } from "../jobs/wire-job.ts";
import { flag, parseQuery, waitTime } from "../query.ts";
import { WithFields } from "../with-fields.ts";
import { anyOf, errors, json, waitParameter } from "./descriptions.ts";

type ContentType = "application/json" | "application/yaml";

const submitQuery = z.object({
  validate_only: flag.optional(),
  strict: flag.optional(),
  wait: waitTime.optional(),
});

/** `POST /jobs`: takes one job in. The worker asks its policy, about whoever signed the job when it is signed. */
export function submitRoute(context: ApiContext): ApiRoute {
  return {
    method: "POST",
    path: "/jobs",
    access: "inside",
    description: {
      operationId: "submitJob",
      summary: "Submit a job",
      tag: "jobs",
      parameters: [
        {
          name: "validate_only",
          in: "query",
          description: "Only tell whether the job would be taken",
          schema: { type: "boolean" },
        },
        {
          name: "strict",
          in: "query",
          description: "Refuse fields that are not known",
          schema: { type: "boolean" },
        },
        waitParameter,
        {
          name: "Idempotency-Key",
          in: "header",
          description: "The same as execution.idempotency_key",
          schema: { type: "string", maxLength: 256 },
        },
      ],
      requestBody: {
        required: true,
        content: {
          "application/json": { schema: "Job" },
          "application/yaml": { schema: { type: "string" } },
        },
      },
      responses: {
        "200": {
          description: "Ended within the wait, repeated a job that had succeeded, or only checked",
          content: json(anyOf("Result", "V0Job", "Deduplicated", "Checked")),
        },
        "202": { description: "Accepted and stored", content: json("Accepted") },
        ...errors(400, 409, 413, 415, 422, 429, 503),
      },
    },
    async handle(request) {
      let jobId: string | undefined;
      let body: Uint8Array | undefined;
      try {
        const query = parseQuery(submitQuery, request.query);
        const contentType = contentTypeOf(request);
        body = await request.body();
        const parsed = readJob(body, {
          contentType,
          strict: query.strict,
          maxBytes: context.maxBodyBytes,
          idempotencyKey: request.header("idempotency-key"),
        });
        ({ jobId } = parsed.document);
        if (query.validate_only === true) return await check(context, request, parsed);
        return await submit(context, request, { parsed, waitMs: query.wait });
      } catch (error) {
        throw refused(error, jobId ?? idIn(body));
      }
    },
  };
}

async function check(
  { worker }: ApiContext,
  request: ApiRequest,
  parsed: ParsedJob,
): Promise<ApiAnswer> {
  await worker.checkDocument(parsed, { subject: request.subject, signal: request.signal });
  const { document, warnings } = parsed;
  return jsonAnswer(200, { valid: true, job_id: document.jobId, warnings });
}

async function submit(
  context: ApiContext,
  request: ApiRequest,
  { parsed, waitMs }: { readonly parsed: ParsedJob; readonly waitMs: number | undefined },
): Promise<ApiAnswer> {
  const { jobId, isDeduplicated } = await context.worker.submitDocument(parsed, {
    subject: request.subject,
  });
  const location = jobLocation(jobId);
  const record =
    isDeduplicated || waitMs !== undefined
      ? await waitForJob(context, jobId, {
          timeoutMs: waitMs ?? 0,
          signal: request.signal,
          until: "ended",
        })
      : undefined;
  if (record?.result !== undefined && !isDeduplicated) {
    return jsonAnswer(200, resultDocument(record), { location });
  }
  const warnings = parsed.warnings.length === 0 ? {} : { warnings: parsed.warnings };
  if (isDeduplicated && record !== undefined) {
    return jsonAnswer(
      200,
      {
        accepted: true,
        job_id: jobId,
        state: wireState(record),
        deduplicated: true,
        location,
        ...warnings,
        ...(record.result !== undefined && { result: resultDocument(record) }),
      },
      { location },
    );
  }
  return jsonAnswer(
    202,
    {
      accepted: true,
      job_id: jobId,
      state: record === undefined ? "queued" : wireState(record),
      location,
      ...warnings,
    },
    { location },
  );
}

interface ReadOptions {
  readonly contentType: ContentType;
  readonly strict: boolean | undefined;
  readonly maxBytes: number;
  readonly idempotencyKey: string | undefined;
}

/** @throws {LongshoreError} what `parseJobDocument` throws */
export function readJob(body: Uint8Array | string, options: ReadOptions): ParsedJob {
  const { contentType, strict, maxBytes, idempotencyKey } = options;
  const parsed = parseJobDocument(body, { contentType, strict, maxBytes });
  if (idempotencyKey === undefined) return parsed;
  const { document } = parsed;
  const own = document.execution.idempotencyKey;
  if (own === idempotencyKey) return parsed;
  if (own !== undefined || idempotencyKey === "" || idempotencyKey.length > 256) {
    const message =
      own === undefined ? "is 1 to 256 characters long" : "is not execution.idempotency_key";
    throw new LongshoreError("VALIDATION_ERROR", `The Idempotency-Key header ${message}.`, {
      details: { issues: [{ path: "Idempotency-Key", code: "custom", message }] },
    });
  }
  return {
    ...parsed,
    document: { ...document, execution: { ...document.execution, idempotencyKey } },
  };
}

/** @throws {LongshoreError} `INVALID_BODY` (415) */
function contentTypeOf(request: ApiRequest): ContentType {
  const header = request.header("content-type") ?? "";
  const [type = ""] = header.toLowerCase().split(";", 1);
  switch (type.trim()) {
    case "application/json":
      return "application/json";
    case "application/yaml":
    case "application/x-yaml":
      return "application/yaml";
    default:
      throw new HttpError(
        "INVALID_BODY",
        `The content type is "${header.slice(0, 100)}"; send application/json or application/yaml.`,
        { status: 415 },
      );
  }
}

/** The answer to a job that was not taken, with what a client of version 0 looks for. */
export function refused(error: unknown, jobId: string | null): WithFields {
  return new WithFields(error, { accepted: false, job_id: jobId, state: "rejected" });
}

/** The id in a document that is not valid, to tell which one it was. */
function idIn(body: Uint8Array | undefined): string | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(body ?? "").toString());
    if (typeof value !== "object" || value === null || !("job_id" in value)) return null;
    return typeof value.job_id === "string" ? value.job_id.slice(0, 128) : null;
  } catch {
    // What is no JSON names no job.
    return null;
  }
}
