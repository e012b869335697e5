import {
  decodeJobError,
  decodeJobResult,
  LongshoreError,
  workerObject,
  type JobResult,
} from "@longshore/core";
import { jsonAnswer, type ApiRequest, type ApiRoute } from "../api-route.ts";
import { parseBody } from "../parse-body.ts";
import { ackRequest, leaseIdSchema, nackRequest } from "../polling/messages.ts";
import type { Leasing, SettledJob } from "./leasing.ts";
import { describe } from "./worker-routes.ts";
import type { WorkerSessions } from "./worker-sessions.ts";

export interface LeaseRoutesOptions {
  readonly sessions: WorkerSessions;
  readonly leasing: Leasing;
  readonly maxResultBytes: number;
}

const leaseId = {
  name: "id",
  in: "path",
  description: "Lease id",
  schema: { type: "string", pattern: "^[A-Za-z0-9][A-Za-z0-9._~-]{0,199}$" },
} as const;

/** What a worker does with a lease: keeps it, answers its job, or gives that back. */
export function leaseRoutes(options: LeaseRoutesOptions): readonly ApiRoute[] {
  const { sessions, leasing, maxResultBytes } = options;

  /** The lease that the path names, once the policy lets the subject be the worker that has it. */
  async function leaseOf(request: ApiRequest): Promise<string> {
    const name = leaseIdSchema.safeParse(request.params["id"]);
    if (!name.success) {
      throw new LongshoreError("VALIDATION_ERROR", "The path names no lease id.");
    }
    const workerId = await leasing.workerOf(name.data);
    await request.authorize(workerObject(workerId), "serve");
    sessions.note(workerId);
    return name.data;
  }

  return [
    {
      method: "POST",
      path: "/leases/{id}/extend",
      access: "route",
      description: describe({
        operationId: "extendLease",
        summary: "Keep a job",
        parameters: [leaseId],
        answers: { "200": ["The lease lives", "Extended"] },
        errors: [400, 409],
      }),
      async handle(request) {
        const lease = await leasing.extend(await leaseOf(request));
        return jsonAnswer(200, { job_id: lease.jobId, lease_ms: lease.leaseMs });
      },
    },
    {
      method: "POST",
      path: "/leases/{id}/ack",
      access: "route",
      maxBodyBytes: maxResultBytes,
      description: describe({
        operationId: "ack",
        summary: "Answer a job with its result",
        parameters: [leaseId],
        body: "AckRequest",
        answers: { "200": ["The result is stored", "Settled"] },
        errors: [400, 409, 413, 415],
      }),
      async handle(request) {
        const lease = await leaseOf(request);
        const { result, events = [] } = await parseBody(ackRequest, request);
        return toAnswer(await leasing.ack(lease, readResult(result), events));
      },
    },
    {
      method: "POST",
      path: "/leases/{id}/nack",
      access: "route",
      description: describe({
        operationId: "nack",
        summary: "Give a job back, or end it as failed",
        parameters: [leaseId],
        body: "NackRequest",
        answers: { "200": ["It is done", "Settled"] },
        errors: [400, 409, 413, 415],
      }),
      async handle(request) {
        const lease = await leaseOf(request);
        const { error, requeue, delay_ms, count_attempt } = await parseBody(nackRequest, request);
        return toAnswer(
          await leasing.nack(lease, decodeJobError(error), {
            requeue,
            ...(delay_ms !== undefined && { delayMs: delay_ms }),
            ...(count_attempt !== undefined && { countAttempt: count_attempt }),
          }),
        );
      },
    },
  ];
}

/** @throws {LongshoreError} `VALIDATION_ERROR` */
function readResult(wire: unknown): JobResult {
  const result = decodeJobResult(wire);
  try {
    JSON.stringify(result);
  } catch (error) {
    throw new LongshoreError("VALIDATION_ERROR", "The result is nested too deep to be stored.", {
      cause: error,
    });
  }
  return result;
}

function toAnswer({ jobId, state, isRepeated }: SettledJob) {
  return jsonAnswer(200, { job_id: jobId, state, repeated: isRepeated });
}
