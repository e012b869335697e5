import { workerObject, type Logger, type Worker } from "@longshore/core";
import { z } from "zod";
import { jsonAnswer, type ApiRoute } from "../api-route.ts";
import { parseBody } from "../parse-body.ts";
import { errors, json } from "./descriptions.ts";

const stopBody = z.object({ timeout_seconds: z.number().min(0).max(86_400).optional() });

/** `POST /drain` and `POST /shutdown`: stop the worker, when its running jobs have ended or at once. */
export function adminRoutes(worker: Worker, logger: Logger): readonly ApiRoute[] {
  const route = (
    path: "/drain" | "/shutdown",
    texts: { readonly operationId: string; readonly summary: string },
    defaultTimeoutMs: number | undefined,
  ): ApiRoute => ({
    method: "POST",
    path,
    access: { object: workerObject(worker.id), action: "manage" },
    description: {
      ...texts,
      tag: "admin",
      requestBody: {
        required: false,
        content: json({
          type: "object",
          properties: {
            timeout_seconds: {
              type: "number",
              minimum: 0,
              maximum: 86_400,
              description: "Time that running jobs get",
            },
          },
        }),
      },
      responses: {
        "202": { description: "It stops", content: json("Stopping") },
        ...errors(400, 413, 415),
      },
    },
    async handle(request) {
      const { timeout_seconds: seconds } = await parseBody(stopBody, request);
      const timeoutMs = seconds === undefined ? defaultTimeoutMs : seconds * 1_000;
      logger.info({ subject: request.subject, timeoutMs }, "worker is told to stop");
      worker.stop({ timeoutMs }).catch((error: unknown) => {
        logger.error({ err: error }, "worker did not stop well");
      });
      return jsonAnswer(202, { worker_id: worker.id, state: worker.state });
    },
  });

  return [
    route(
      "/drain",
      {
        operationId: "drain",
        summary: "Take no more jobs, wait for the running ones, then stop",
      },
      undefined,
    ),
    route(
      "/shutdown",
      { operationId: "shutdown", summary: "Stop now; running jobs go back to the queue" },
      0,
    ),
  ];
}
