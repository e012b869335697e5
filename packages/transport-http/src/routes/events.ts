import { LongshoreError } from "@longshore/core";
import { z } from "zod";
import { jobOf, type ApiContext } from "../api-context.ts";
import type { ApiRequest, ApiRoute } from "../api-route.ts";
import type { EventView } from "../jobs/event-page.ts";
import { streamAnswer } from "../jobs/event-stream.ts";
import { jobStory } from "../jobs/job-story.ts";
import { parseQuery } from "../query.ts";
import { errors, jobIdParameter } from "./descriptions.ts";

const eventsQuery = z.object({ last_event_id: z.string().optional() });

/** `GET /jobs/{id}/events`: a job's story, from its beginning or from where a reader left off. */
export function eventsRoute(context: ApiContext): ApiRoute {
  return {
    method: "GET",
    path: "/jobs/{id}/events",
    access: "route",
    description: {
      operationId: "followJob",
      summary: "Follow a job as server-sent events, until done",
      tag: "jobs",
      parameters: [
        jobIdParameter,
        {
          name: "Last-Event-ID",
          in: "header",
          description: "Number of the last event that was received",
          schema: { type: "string", pattern: "^\\d{1,15}$" },
        },
        {
          name: "last_event_id",
          in: "query",
          description: "The same, for clients that cannot set the header",
          schema: { type: "string", pattern: "^\\d{1,15}$" },
        },
      ],
      responses: {
        "200": {
          description:
            "Events state, progress, log, artifact and step with their number as id, then done",
          content: {
            "text/event-stream": {
              schema: {
                type: "string",
                description: "The data of each message but done",
                contentMediaType: "application/json",
                contentSchema: { $ref: "#/components/schemas/Event" },
              },
            },
          },
        },
        ...errors(400, 404, 410, 429),
      },
    },
    async handle(request) {
      const afterSequence = lastEventId(request);
      const { jobId } = await jobOf(context, request, "query");
      if (request.isHead) return streamAnswer(nothing());
      const slot = context.slots.take(request.client);
      return streamAnswer(messages(context, request, { jobId, afterSequence, slot }));
    },
  };
}

const everything: EventView = { name: "events", message: ({ message }) => message };

async function* messages(
  { feeds, heartbeatMs: quietMs }: ApiContext,
  { signal }: ApiRequest,
  place: { readonly jobId: string; readonly afterSequence: number; readonly slot: Disposable },
): AsyncGenerator<Uint8Array | string, void, undefined> {
  const { jobId, afterSequence, slot } = place;
  using _slot = slot;
  using feed = feeds.open(jobId);
  yield* jobStory({ jobId, feed, view: everything, afterSequence, quietMs, signal });
}

// oxlint-disable-next-line require-yield -- a stream of which only the headers are wanted
async function* nothing(): AsyncGenerator<string, void, undefined> {}

/** @throws {LongshoreError} `VALIDATION_ERROR` */
export function lastEventId(request: ApiRequest): number {
  const { last_event_id: fromQuery } = parseQuery(eventsQuery, request.query);
  const text = request.header("last-event-id") ?? fromQuery;
  if (text === undefined || text === "") return -1;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new LongshoreError("VALIDATION_ERROR", "Last-Event-ID is the number of an event.", {
    details: {
      issues: [{ path: "Last-Event-ID", code: "invalid_format", message: "is no number" }],
    },
  });
}
