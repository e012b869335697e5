import type { JobEvent, JobRecord } from "@longshore/core";
import { z } from "zod";
import { jobOf, type ApiContext } from "../api-context.ts";
import type { ApiRequest, ApiRoute } from "../api-route.ts";
import { streamAnswer, streamMessage } from "../jobs/event-stream.ts";
import type { EventView } from "../jobs/event-page.ts";
import { jobStory } from "../jobs/job-story.ts";
import { keptEventsOf } from "../jobs/kept-events.ts";
import { count, flag, parseQuery } from "../query.ts";
import { lastEventId } from "./events.ts";
import { errors, jobIdParameter } from "./descriptions.ts";

const logsQuery = z.object({
  stream: z.enum(["stdout", "stderr", "both"]).default("both"),
  follow: flag.optional(),
  tail: count(100_000).optional(),
});
type LogsQuery = z.infer<typeof logsQuery>;

/** `GET /jobs/{id}/logs`: what a job has written, or what it writes while it does. */
export function logsRoute(context: ApiContext): ApiRoute {
  return {
    method: "GET",
    path: "/jobs/{id}/logs",
    access: "route",
    description: {
      operationId: "readLogs",
      summary: "What a job writes: all of it as text once it has ended, its lines while it runs",
      tag: "jobs",
      parameters: [
        jobIdParameter,
        {
          name: "stream",
          in: "query",
          description: "Of which stream",
          schema: { enum: ["stdout", "stderr", "both"], default: "both" },
        },
        {
          name: "follow",
          in: "query",
          description: "Go on until the job has ended, as server-sent events",
          schema: { type: "boolean", default: false },
        },
        {
          name: "tail",
          in: "query",
          description: "Only the last lines",
          schema: { type: "integer", minimum: 1, maximum: 100_000 },
        },
      ],
      responses: {
        "200": {
          description: "Text, or with follow a stream of lines",
          content: {
            "text/plain": { schema: { type: "string" } },
            "text/event-stream": { schema: { type: "string" } },
          },
        },
        ...errors(400, 404, 410, 429),
      },
    },
    async handle(request) {
      const query = parseQuery(logsQuery, request.query);
      const afterSequence = lastEventId(request);
      const record = await jobOf(context, request, "query");
      if (query.follow === true && !request.isHead) {
        const slot = context.slots.take(request.client);
        return streamAnswer(follow(context, request, { record, query, afterSequence, slot }));
      }
      const whole = wholeText(record, query.stream);
      const text =
        whole ?? (await linesSoFar(context, record, query)).map(({ line }) => `${line}\n`).join("");
      return {
        status: 200,
        headers: {
          "content-type": "text/plain; charset=utf-8",
          // Lines of a job that writes fast are left out while it runs.
          "x-log-complete": String(whole !== undefined),
        },
        body: query.tail === undefined ? text : lastLines(text, query.tail),
      };
    },
  };
}

interface LogLine {
  readonly sequence: number;
  readonly stream: string;
  readonly line: string;
}

/** What the result has of the streams; `undefined` when there is no result yet, or one without streams. */
function wholeText({ result }: JobRecord, stream: LogsQuery["stream"]): string | undefined {
  if (result?.stdout === undefined && result?.stderr === undefined) return undefined;
  const { stdout = "", stderr = "" } = result;
  if (stream === "stdout") return stdout;
  if (stream === "stderr") return stderr;
  const needsBreak = stdout !== "" && stderr !== "" && !stdout.endsWith("\n");
  return `${stdout}${needsBreak ? "\n" : ""}${stderr}`;
}

async function linesSoFar(
  { log }: ApiContext,
  { jobId }: JobRecord,
  query: LogsQuery,
): Promise<readonly LogLine[]> {
  const lines: LogLine[] = [];
  for await (const event of keptEventsOf(log, jobId)) {
    const line = toLine(event, query.stream);
    if (line !== undefined) lines.push(line);
  }
  return lines;
}

async function* follow(
  context: ApiContext,
  { signal }: ApiRequest,
  place: {
    readonly record: JobRecord;
    readonly query: LogsQuery;
    readonly afterSequence: number;
    readonly slot: Disposable;
  },
): AsyncGenerator<Uint8Array | string, void, undefined> {
  const { record, query, slot } = place;
  const { jobId } = record;
  let { afterSequence } = place;
  using _slot = slot;
  if (query.tail !== undefined && afterSequence < 0) {
    for (const line of (await linesSoFar(context, record, query)).slice(-query.tail)) {
      afterSequence = line.sequence;
      yield lineMessage(line);
    }
  }
  using feed = context.feeds.open(jobId);
  const view: EventView = {
    name: `logs of ${query.stream}`,
    message({ event }) {
      const line = toLine(event, query.stream);
      return line === undefined ? "" : lineMessage(line);
    },
  };
  yield* jobStory({ jobId, feed, view, afterSequence, quietMs: context.heartbeatMs, signal });
}

/** A line that a process wrote, or that a handler logged. */
function toLine(event: JobEvent, wanted: LogsQuery["stream"]): LogLine | undefined {
  if (event.kind !== "log") return undefined;
  const named = event.details?.["stream"];
  const stream = typeof named === "string" ? named : "log";
  if (wanted !== "both" && wanted !== stream) return undefined;
  return { sequence: event.sequence, stream, line: event.message };
}

function lineMessage({ sequence, stream, line }: LogLine): string {
  return streamMessage({ event: "log", id: sequence, data: { stream, line } });
}

function lastLines(text: string, lineCount: number): string {
  const end = text.endsWith("\n") ? text.length - 1 : text.length;
  let start = end;
  for (let lines = 0; lines < lineCount && start > 0; lines += 1) {
    start = text.lastIndexOf("\n", start - 1);
    if (start === -1) return text;
  }
  return text.slice(start === end && end === 0 ? 0 : start + 1);
}
