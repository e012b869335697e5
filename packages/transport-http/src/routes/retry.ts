import {
  createJobId,
  encodeJobDocument,
  isTerminal,
  parseJobDocument,
  type JobRecord,
  type ParsedJob,
} from "@longshore/core";
import { z } from "zod";
import { jobOf, type ApiContext } from "../api-context.ts";
import { jsonAnswer, type ApiRoute } from "../api-route.ts";
import { notFinished } from "../jobs/not-finished.ts";
import { jobLocation, retryOfAnnotation } from "../jobs/wire-job.ts";
import { parseBody } from "../parse-body.ts";
import { errors, jobIdParameter, json } from "./descriptions.ts";

const retryBody = z.object({ reset_attempts: z.boolean().default(true) });

/** `POST /jobs/{id}/retry`: a new job that does the same as one that has ended. */
export function retryRoute(context: ApiContext): ApiRoute {
  return {
    method: "POST",
    path: "/jobs/{id}/retry",
    access: "route",
    description: {
      operationId: "retryJob",
      summary: "Do the same again, as a new job",
      tag: "jobs",
      parameters: [jobIdParameter],
      requestBody: {
        required: false,
        content: json({
          type: "object",
          properties: {
            reset_attempts: {
              type: "boolean",
              default: true,
              description: "Count attempts from 1; else on from those of the job",
            },
          },
        }),
      },
      responses: {
        "202": { description: "The new job", content: json("Accepted") },
        ...errors(400, 404, 409, 410, 413, 415, 422, 429, 503),
      },
    },
    async handle(request) {
      const { reset_attempts: resetAttempts } = await parseBody(retryBody, request);
      const record = await jobOf(context, request, "execute");
      if (!isTerminal(record.state)) throw notFinished(record);
      const parsed = again(record, resetAttempts);
      const { jobId } = await context.worker.submitDocument(parsed, { subject: request.subject });
      const location = jobLocation(jobId);
      return jsonAnswer(
        202,
        { accepted: true, job_id: jobId, state: "queued", location, retry_of: record.jobId },
        { location },
      );
    },
  };
}

/**
 * The document of another try. What belongs to the job itself goes: its id, its signature, its times, and the key that
 * would give back the result which is there.
 */
function again({ jobId, document, attempt }: JobRecord, resetAttempts: boolean): ParsedJob {
  const wire = encodeJobDocument(document);
  const { signature: _signature, created_at: _created, ...rest } = wire;
  const { execution, metadata } = document;
  const first = resetAttempts ? 1 : Math.min(100, attempt + 1);
  const {
    idempotency_key: _key,
    deadline: _deadline,
    not_before: _notBefore,
    ...how
  } = wire["execution"] as Record<string, unknown>;
  return parseJobDocument(
    JSON.stringify({
      ...rest,
      job_id: createJobId(),
      execution: {
        ...how,
        attempt: first,
        max_attempts: Math.max(first, execution.maxAttempts),
      },
      metadata: {
        ...(rest["metadata"] as object | undefined),
        annotations: { ...metadata?.annotations, [retryOfAnnotation]: jobId },
      },
    }),
    { contentType: "application/json", maxBytes: 4_194_304 },
  );
}
