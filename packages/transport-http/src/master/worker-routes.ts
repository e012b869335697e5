import { LongshoreError, workerObject } from "@longshore/core";
import { z } from "zod";
import { jsonAnswer, type ApiDescription, type ApiRequest, type ApiRoute } from "../api-route.ts";
import { parseBody } from "../parse-body.ts";
import {
  eventReport,
  maxWaitMs,
  pollRequest,
  registration,
  workerIdSchema,
  type Delivery,
} from "../polling/messages.ts";
import { parseQuery } from "../query.ts";
import { errors, json } from "../routes/descriptions.ts";
import type { JobBook } from "./job-book.ts";
import type { Leasing } from "./leasing.ts";
import type { Polls } from "./polls.ts";
import type { WorkerSession, WorkerSessions } from "./worker-sessions.ts";

export interface WorkerRoutesOptions {
  readonly sessions: WorkerSessions;
  readonly book: JobBook;
  readonly leasing: Leasing;
  readonly polls: Polls;
  readonly maxResultBytes: number;
}

const instanceQuery = z.object({ instance_id: z.string().min(1).max(64) });
const leasesQuery = instanceQuery.extend({ cursor: z.string().min(1).max(200).optional() });
/** Deliveries on a page, and their bytes but for the last one */
const pageSize = 16;
const pageBytes = 4_194_304;

const workerId = {
  name: "id",
  in: "path",
  description: "Worker id",
  schema: { type: "string", pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$" },
} as const;
const instanceId = {
  name: "instance_id",
  in: "query",
  description: "The worker's, as it was registered",
  schema: { type: "string", maxLength: 64 },
} as const;

/** What workers ask a master: who they are, what they hold, what there is to do, and what they tell. */
export function workerRoutes(options: WorkerRoutesOptions): readonly ApiRoute[] {
  const { sessions, book, leasing, polls, maxResultBytes } = options;

  /** The worker that the path names, once the policy lets the subject be it. */
  async function nameOf(request: ApiRequest): Promise<string> {
    const name = workerIdSchema.safeParse(request.params["id"]);
    if (!name.success) {
      throw new LongshoreError("VALIDATION_ERROR", "The path names no worker id.");
    }
    await request.authorize(workerObject(name.data), "serve");
    return name.data;
  }

  /** One page of what a worker holds, in the order of the jobs' ids. */
  async function heldBy(
    { workerId: name }: WorkerSession,
    cursor: string | undefined,
  ): Promise<{ readonly leases: readonly Delivery[]; readonly next_cursor?: string }> {
    const held = book
      .leasedBy(name)
      .filter(({ jobId }) => cursor === undefined || jobId > cursor)
      .toSorted((a, b) => (a.jobId < b.jobId ? -1 : 1));
    const leases: Delivery[] = [];
    let bytes = 0;
    for (const [index, entry] of held.entries()) {
      const one = await leasing.deliveryOf(entry);
      if (one !== undefined) leases.push(one);
      bytes += entry.documentBytes;
      const isFull = index + 1 >= pageSize || bytes >= pageBytes;
      if (isFull && index + 1 < held.length) return { leases, next_cursor: entry.jobId };
    }
    return { leases };
  }

  return [
    {
      method: "POST",
      path: "/workers",
      access: "route",
      description: describe({
        operationId: "registerWorker",
        summary: "Tell who polls",
        body: "Registration",
        answers: { "200": ["The worker may poll", "Registered"] },
        errors: [400, 409, 413, 415, 429],
      }),
      async handle(request) {
        const message = await parseBody(registration, request);
        await request.authorize(workerObject(message.worker_id), "serve");
        const session = sessions.register(message);
        return jsonAnswer(200, {
          worker_id: session.workerId,
          lease_ms: session.leaseMs,
          max_wait_ms: maxWaitMs,
          max_result_bytes: maxResultBytes,
        });
      },
    },
    {
      method: "GET",
      path: "/workers",
      access: "route",
      description: describe({
        operationId: "listWorkers",
        summary: "Workers that have polled since the master was started",
        answers: { "200": ["The workers", "WorkerList"] },
        errors: [],
      }),
      async handle(request) {
        const all = sessions.values().toSorted((a, b) => (a.workerId < b.workerId ? -1 : 1));
        const shown: object[] = [];
        for (const { workerId: name, pool, seenAtMs, endPoll } of all) {
          if (!(await request.isAllowed(workerObject(name), "query"))) continue;
          shown.push({
            worker_id: name,
            pool,
            polls: endPoll !== undefined,
            seen_at: new Date(seenAtMs).toISOString(),
            leases: book.leasedBy(name).length,
          });
        }
        // Of no worker at all, nobody learns anything.
        if (all.length === 0) await request.isAllowed(workerObject("*"), "query");
        return jsonAnswer(200, { workers: shown });
      },
    },
    {
      method: "GET",
      path: "/workers/{id}/leases",
      access: "route",
      description: describe({
        operationId: "listLeases",
        summary: "What the worker holds",
        parameters: [
          workerId,
          instanceId,
          { name: "cursor", in: "query", description: "next_cursor of the page before" },
        ],
        answers: { "200": ["A page", "LeasePage"] },
        errors: [400, 404, 409],
      }),
      async handle(request) {
        const name = await nameOf(request);
        const { instance_id, cursor } = parseQuery(leasesQuery, request.query);
        const session = sessions.get(name, instance_id);
        return jsonAnswer(200, await heldBy(session, cursor));
      },
    },
    {
      method: "POST",
      path: "/workers/{id}/poll",
      access: "route",
      description: describe({
        operationId: "poll",
        summary: "Take jobs, and learn what is to end; held back while there is nothing to tell",
        parameters: [workerId],
        body: "PollRequest",
        answers: { "200": ["What there is", "PollAnswer"] },
        errors: [400, 404, 409, 413, 415],
      }),
      async handle(request) {
        const name = await nameOf(request);
        const message = await parseBody(pollRequest, request);
        const session = sessions.get(name, message.instance_id);
        return jsonAnswer(200, await polls.poll(session, message, request.signal));
      },
    },
    {
      method: "POST",
      path: "/workers/{id}/events",
      access: "route",
      description: describe({
        operationId: "reportEvents",
        summary: "Tell what happens to jobs",
        parameters: [workerId],
        body: "EventReport",
        answers: { "200": ["What was taken", "EventReceipt"] },
        errors: [400, 413, 415],
      }),
      async handle(request) {
        const name = await nameOf(request);
        const { events } = await parseBody(eventReport, request);
        sessions.note(name);
        const own = new Set(book.leasedBy(name).map(({ lease }) => lease?.leaseId));
        const taken = await Promise.all(
          events
            .filter(({ lease_id }) => own.has(lease_id))
            .map(({ lease_id, event }) => leasing.tell(lease_id, event)),
        );
        return jsonAnswer(200, { taken: taken.filter(Boolean).length });
      },
    },
    {
      method: "DELETE",
      path: "/workers/{id}",
      access: "route",
      description: {
        ...describe({
          operationId: "leave",
          summary: "Stop polling; leases that exist stay",
          parameters: [workerId, instanceId],
          answers: {},
          errors: [400, 404, 409],
        }),
        responses: { "204": { description: "Done" }, ...errors(400, 404, 409) },
      },
      async handle(request) {
        const name = await nameOf(request);
        const { instance_id } = parseQuery(instanceQuery, request.query);
        sessions.leave(sessions.get(name, instance_id));
        return { status: 204 };
      },
    },
  ];
}

/** The description of a route of the protocol. */
export function describe(route: {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters?: ApiDescription["parameters"];
  readonly body?: string;
  readonly answers: Readonly<Record<string, readonly [description: string, schema: string]>>;
  readonly errors: readonly number[];
}): ApiDescription {
  return {
    operationId: route.operationId,
    summary: route.summary,
    tag: "polling",
    parameters: route.parameters,
    ...(route.body !== undefined && { requestBody: { required: true, content: json(route.body) } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.answers).map(([status, [description, schema]]) => [
          status,
          { description, content: json(schema) },
        ]),
      ),
      ...errors(...route.errors),
    },
  };
}
