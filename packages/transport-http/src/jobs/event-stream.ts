import { encodeJobEvent, type JobEvent, type JobRecord } from "@longshore/core";
import type { ApiAnswer } from "../api-route.ts";
import { wireState } from "./wire-job.ts";

/** One message of a server-sent event stream. */
export interface StreamMessage {
  readonly event: string;
  /** What `Last-Event-ID` will be */
  readonly id?: number | undefined;
  readonly data: unknown;
}

/** How soon a client that lost its stream comes back */
const reconnectMs = 1_000;

/** Nothing that a client sees, and a sign of life for everything between. */
export const heartbeat = ": quiet\n\n";

export function streamAnswer(body: AsyncIterable<string>): ApiAnswer {
  return {
    status: 200,
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      // nginx holds streams back otherwise.
      "x-accel-buffering": "no",
    },
    body: withRetry(body),
  };
}

async function* withRetry(body: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  yield `retry: ${reconnectMs}\n\n`;
  yield* body;
}

/** JSON has no line breaks of its own, so that each message's data is one line. */
export function streamMessage({ event, id, data }: StreamMessage): string {
  const idLine = id === undefined ? "" : `id: ${id}\n`;
  return `${idLine}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The last message: how the job stands, or that it is gone. */
export function doneMessage(jobId: string, record: JobRecord | undefined): string {
  const state = record === undefined ? "not_found" : wireState(record);
  return streamMessage({ event: "done", data: { job_id: jobId, state } });
}

/** Events as messages; one that many readers are told is written once. */
export function eventMessages(): (event: JobEvent) => string {
  const written = new WeakMap<JobEvent, string>();
  return (event) => {
    const known = written.get(event);
    if (known !== undefined) return known;
    const { kind, sequence } = event;
    const message = streamMessage({ event: kind, id: sequence, data: encodeJobEvent(event) });
    written.set(event, message);
    return message;
  };
}
