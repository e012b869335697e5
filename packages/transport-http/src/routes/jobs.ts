import { jobStates, type JobRecord } from "@longshore/core";
import { z } from "zod";
import { jobOf, objectOf, type ApiContext } from "../api-context.ts";
import { jsonAnswer, type ApiRequest, type ApiRoute } from "../api-route.ts";
import { notFinished } from "../jobs/not-finished.ts";
import { stateTag, waitForJob } from "../jobs/wait-for-job.ts";
import { jobStatus, jobSummary, resultDocument, wireState } from "../jobs/wire-job.ts";
import { count, parseQuery, waitTime } from "../query.ts";
import { WithFields } from "../with-fields.ts";
import { errors, jobIdParameter, json, waitParameter } from "./descriptions.ts";

const several = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (typeof value === "string" ? value.split(",") : value));

const listQuery = z.object({
  state: several.pipe(z.array(z.enum(jobStates))).optional(),
  operation: z.string().max(200).optional(),
  namespace: z.string().max(253).optional(),
  label: z
    .union([z.string(), z.array(z.string())])
    .transform((value) => (typeof value === "string" ? [value] : value))
    .pipe(z.array(z.string().regex(/^[^=]{1,317}=.{0,63}$/, "expected name=value")).max(32))
    .optional(),
  limit: count(500).optional(),
  cursor: z.string().max(300).optional(),
  order: z.enum(["newest", "oldest"]).optional(),
});
const waitQuery = z.object({ wait: waitTime.optional() });

/** `GET /jobs`: one page of what the store has and the policy shows. */
export function listRoute({ store }: ApiContext): ApiRoute {
  const text = { type: "string" } as const;
  return {
    method: "GET",
    path: "/jobs",
    access: "inside",
    description: {
      operationId: "listJobs",
      summary: "List jobs",
      tag: "jobs",
      parameters: [
        {
          name: "state",
          in: "query",
          description: "Only in these states, separated by commas",
          schema: text,
        },
        { name: "operation", in: "query", description: "Only of this operation", schema: text },
        { name: "namespace", in: "query", description: "Only of this namespace", schema: text },
        { name: "label", in: "query", description: "name=value; may come again", schema: text },
        {
          name: "limit",
          in: "query",
          description: "Jobs on a page",
          schema: { type: "integer", minimum: 1, maximum: 500, default: 100 },
        },
        { name: "cursor", in: "query", description: "next_cursor of the last page", schema: text },
        {
          name: "order",
          in: "query",
          description: "By acceptance",
          schema: { enum: ["newest", "oldest"], default: "newest" },
        },
      ],
      responses: {
        "200": { description: "A page", content: json("JobPage") },
        ...errors(400),
      },
    },
    async handle(request) {
      const { state, operation, namespace, label, limit, cursor, order } = parseQuery(
        listQuery,
        request.query,
      );
      const labels =
        label === undefined ? undefined : Object.fromEntries(label.map((pair) => split(pair)));
      const page = await store.list(
        { states: state, operation, namespace, labels, limit, cursor, order },
        { signal: request.signal },
      );
      const visible = await shown(page.records, request);
      return jsonAnswer(200, {
        jobs: visible.map(jobSummary),
        ...(page.nextCursor !== undefined && { next_cursor: page.nextCursor }),
      });
    },
  };
}

/** The records of which the policy lets the subject know. */
async function shown(
  records: readonly JobRecord[],
  request: ApiRequest,
): Promise<readonly JobRecord[]> {
  const answers = new Map<string, Promise<boolean>>();
  const isShown = await Promise.all(
    records.map((record) => {
      const object = objectOf(record);
      const answer = answers.get(object) ?? request.isAllowed(object, "query");
      answers.set(object, answer);
      return answer;
    }),
  );
  return records.filter((_, index) => isShown[index] === true);
}

function split(pair: string): readonly [string, string] {
  const at = pair.indexOf("=");
  return [pair.slice(0, at), pair.slice(at + 1)];
}

/** `GET /jobs/{id}`: where a job stands, at once or when that changes. */
export function getRoute(context: ApiContext): ApiRoute {
  return {
    method: "GET",
    path: "/jobs/{id}",
    access: "route",
    description: {
      operationId: "getJob",
      summary: "Where a job stands; with wait, once its state is another",
      tag: "jobs",
      parameters: [
        jobIdParameter,
        waitParameter,
        {
          name: "If-None-Match",
          in: "header",
          description: "ETag of the state that is known; wait waits for another one",
        },
      ],
      responses: {
        "200": { description: "The job", content: json("JobStatus") },
        "304": { description: "It is as it was" },
        ...errors(400, 404),
      },
    },
    async handle(request) {
      const { wait } = parseQuery(waitQuery, request.query);
      let record = await jobOf(context, request, "query");
      const known = /^(?:W\/)?"([a-z]+\.\d+)"$/.exec(request.header("if-none-match") ?? "")?.[1];
      if (wait !== undefined) {
        record =
          (await waitForJob(context, record.jobId, {
            timeoutMs: wait,
            signal: request.signal,
            until: "changed",
            unlike: known,
          })) ?? record;
      }
      const headers = { etag: `W/"${stateTag(record)}"`, "cache-control": "no-cache" };
      if (known === stateTag(record)) return { status: 304, headers };
      return jsonAnswer(200, jobStatus(record), headers);
    },
  };
}

/** `GET /jobs/{id}/result`: what became of a job. */
export function resultRoute(context: ApiContext): ApiRoute {
  return {
    method: "GET",
    path: "/jobs/{id}/result",
    access: "route",
    description: {
      operationId: "getResult",
      summary: "What became of a job",
      tag: "jobs",
      parameters: [jobIdParameter, waitParameter],
      responses: {
        "200": { description: "The result", content: json("Result") },
        ...errors(400, 404, 409),
      },
    },
    async handle(request) {
      const { wait } = parseQuery(waitQuery, request.query);
      let record = await jobOf(context, request, "query");
      if (wait !== undefined && record.result === undefined) {
        record =
          (await waitForJob(context, record.jobId, {
            timeoutMs: wait,
            signal: request.signal,
            until: "ended",
          })) ?? record;
      }
      if (record.result !== undefined) return jsonAnswer(200, resultDocument(record));
      const fields = { job_id: record.jobId, state: wireState(record) };
      throw new WithFields(notFinished(record), fields);
    },
  };
}
