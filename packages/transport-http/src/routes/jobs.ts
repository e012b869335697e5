import { jobObject, jobStates, type JobCount } from "@longshore/core";
import { z } from "zod";
import { jobOf, objectOf, type ApiContext } from "../api-context.ts";
import { jsonAnswer, type ApiRequest, type ApiRoute } from "../api-route.ts";
import { notFinished } from "../jobs/not-finished.ts";
import { stateTag, waitForJob } from "../jobs/wait-for-job.ts";
import { jobStatus, jobSummary, resultDocument, wireState } from "../jobs/wire-job.ts";
import { count, flag, parseQuery, waitTime } from "../query.ts";
import { WithFields } from "../with-fields.ts";
import { anyOf, errors, jobIdParameter, json, waitParameter } from "./descriptions.ts";

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
  total: flag.optional(),
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
        {
          name: "total",
          in: "query",
          description: "Also count the jobs of all pages, which looks at every job of the store",
          schema: { type: "boolean", default: false },
        },
      ],
      responses: {
        "200": { description: "A page", content: json("JobPage") },
        ...errors(400),
      },
    },
    async handle(request) {
      const { state, operation, namespace, label, limit, cursor, order, total } = parseQuery(
        listQuery,
        request.query,
      );
      const labels =
        label === undefined ? undefined : Object.fromEntries(label.map((pair) => split(pair)));
      const { signal } = request;
      const query = { states: state, operation, namespace, labels };
      const page = await store.list({ ...query, limit, cursor, order }, { signal });
      const mayShow = visibility(request);
      const isShown = await Promise.all(page.records.map((record) => mayShow(objectOf(record))));
      const visible = page.records.filter((_, index) => isShown[index] === true);
      return jsonAnswer(200, {
        jobs: visible.map(jobSummary),
        ...(page.nextCursor !== undefined && { next_cursor: page.nextCursor }),
        ...(total === true && {
          total: await visibleCount(await store.count(query, { signal }), mayShow),
        }),
      });
    },
  };
}

/** Whether the policy lets the subject know of jobs; each kind of job is asked about once. */
function visibility(request: ApiRequest): (object: string) => Promise<boolean> {
  const answers = new Map<string, Promise<boolean>>();
  return (object) => {
    const answer = answers.get(object) ?? request.isAllowed(object, "query");
    answers.set(object, answer);
    return answer;
  };
}

async function visibleCount(
  counts: readonly JobCount[],
  mayShow: (object: string) => Promise<boolean>,
): Promise<number> {
  let total = 0;
  for (const { namespace, operation, count: jobCount } of counts) {
    if (await mayShow(jobObject(namespace, operation))) total += jobCount;
  }
  return total;
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
        "200": { description: "The job", content: json(anyOf("JobStatus", "V0Job")) },
        "304": { description: "It is as it was" },
        ...errors(400, 404, 410),
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
            record,
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
        "200": { description: "The result", content: json(anyOf("Result", "V0Job")) },
        ...errors(400, 404, 409, 410),
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
            record,
          })) ?? record;
      }
      if (record.result !== undefined) return jsonAnswer(200, resultDocument(record));
      const fields = { job_id: record.jobId, state: wireState(record) };
      throw new WithFields(notFinished(record), fields);
    },
  };
}
