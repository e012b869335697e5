import { LongshoreError, type ParsedJob } from "@longshore/core";
import type { ApiContext } from "../api-context.ts";
import { jsonAnswer, type ApiRequest, type ApiRoute } from "../api-route.ts";
import { jobLocation } from "../jobs/wire-job.ts";
import { readJson } from "../parse-body.ts";
import { errorFields, statusOf } from "../server/error-answer.ts";
import { WithFields } from "../with-fields.ts";
import { errors, json } from "./descriptions.ts";
import { readJob, refused } from "./submit.ts";

const maxJobs = 1_000;

/** `POST /jobs:batch`: takes many jobs in; each one is answered by itself. */
export function submitBatchRoute({ worker, maxBodyBytes }: ApiContext): ApiRoute {
  async function submitOne(value: unknown, request: ApiRequest) {
    try {
      let parsed: ParsedJob;
      try {
        parsed = readJob(JSON.stringify(value) ?? "", {
          contentType: "application/json",
          strict: false,
          maxBytes: maxBodyBytes,
          idempotencyKey: undefined,
        });
      } catch (error) {
        throw refused(error, null);
      }
      const { jobId, isDeduplicated } = await worker
        .submitDocument(parsed, { subject: request.subject })
        .catch((error: unknown) => {
          throw refused(error, parsed.document.jobId);
        });
      return {
        status: isDeduplicated ? 200 : 202,
        accepted: true,
        job_id: jobId,
        state: isDeduplicated ? "completed" : "queued",
        location: jobLocation(jobId),
        ...(isDeduplicated && { deduplicated: true }),
        ...(parsed.warnings.length > 0 && { warnings: parsed.warnings }),
      };
    } catch (error) {
      if (!(error instanceof WithFields)) throw error;
      return {
        status: statusOf(error.reason),
        ...errorFields(error.reason, request.requestId, error.fields),
      };
    }
  }

  return {
    method: "POST",
    path: "/jobs:batch",
    access: "inside",
    description: {
      operationId: "submitJobs",
      summary: "Submit up to 1,000 jobs",
      tag: "jobs",
      requestBody: {
        required: true,
        content: json({
          type: "object",
          required: ["jobs"],
          properties: {
            jobs: {
              type: "array",
              minItems: 1,
              maxItems: maxJobs,
              items: { $ref: "#/components/schemas/Job" },
            },
          },
        }),
      },
      responses: {
        "207": {
          description: "What became of each job, in their order",
          content: json("BatchAnswer"),
        },
        ...errors(400, 413, 415, 503),
      },
    },
    async handle(request) {
      const jobs = jobsIn(await readJson(request));
      return jsonAnswer(207, {
        results: await Promise.all(jobs.map((job) => submitOne(job, request))),
      });
    },
  };
}

function jobsIn(value: unknown): readonly unknown[] {
  const jobs =
    typeof value === "object" && value !== null && "jobs" in value ? value.jobs : undefined;
  if (Array.isArray(jobs) && jobs.length >= 1 && jobs.length <= maxJobs) return jobs;
  throw new LongshoreError("VALIDATION_ERROR", `jobs must be a list of 1 to ${maxJobs} jobs.`, {
    details: { issues: [{ path: "jobs", code: "invalid_type", message: "is no such list" }] },
  });
}
