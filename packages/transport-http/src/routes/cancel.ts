import { isTerminal } from "@longshore/core";
import { z } from "zod";
import { jobOf, type ApiContext } from "../api-context.ts";
import { jsonAnswer, type ApiAnswer, type ApiRequest, type ApiRoute } from "../api-route.ts";
import { wireState } from "../jobs/wire-job.ts";
import { parseBody } from "../parse-body.ts";
import { errors, jobIdParameter, json } from "./descriptions.ts";

const cancelBody = z.object({
  reason: z.string().max(1_000).optional(),
  force: z.boolean().optional(),
});

/** `POST /jobs/{id}/cancel` and `DELETE /jobs/{id}`: ends a job. */
export function cancelRoutes(context: ApiContext): readonly ApiRoute[] {
  async function cancel(
    request: ApiRequest,
    options: z.infer<typeof cancelBody>,
  ): Promise<ApiAnswer> {
    const record = await jobOf(context, request, "manage");
    const { jobId } = record;
    const state = isTerminal(record.state)
      ? record.state
      : await context.worker.cancel(jobId, options);
    const isUnderWay = !isTerminal(state);
    return jsonAnswer(isUnderWay ? 202 : 200, {
      job_id: jobId,
      state: wireState({ ...record, state }),
      ...(isUnderWay && { note: "The job was told to stop; its state tells when it has." }),
    });
  }

  const responses = {
    "200": { description: "It has ended: now, or before", content: json("JobState") },
    "202": { description: "It runs and was told to stop", content: json("JobState") },
    ...errors(400, 404, 409, 410, 413, 415),
  };
  return [
    {
      method: "DELETE",
      path: "/jobs/{id}",
      access: "route",
      description: {
        operationId: "deleteJob",
        summary: "Cancel a job",
        tag: "jobs",
        parameters: [jobIdParameter],
        responses,
      },
      handle: (request) => cancel(request, {}),
    },
    {
      method: "POST",
      path: "/jobs/{id}/cancel",
      access: "route",
      description: {
        operationId: "cancelJob",
        summary: "Cancel a job, with a reason, or by force one that is not cancellable",
        tag: "jobs",
        parameters: [jobIdParameter],
        requestBody: {
          required: false,
          content: json({
            type: "object",
            properties: {
              reason: { type: "string", maxLength: 1_000 },
              force: { type: "boolean", default: false },
            },
          }),
        },
        responses,
      },
      handle: async (request) => cancel(request, await parseBody(cancelBody, request)),
    },
  ];
}
