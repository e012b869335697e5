import { encodeJobEvent, type JobEvent, type JobRecord } from "@longshore/core";
import type { ApiAnswer, ApiBody } from "../api-route.ts";
import { wireState } from "./wire-job.ts";

/** One message of a server-sent event stream. */
export interface StreamMessage {
  readonly event: string;
  /** What `Last-Event-ID` will be */
  readonly id?: number | undefined;
  readonly data: unknown;
}

/** First line of a stream: how soon a client that lost it comes back, in milliseconds. */
export const streamStart = "retry: 1000\n\n";

/** Nothing that a client sees, and a sign of life for everything between. */
export const heartbeat = ": quiet\n\n";

export function streamAnswer(body: ApiBody): ApiAnswer {
  return {
    status: 200,
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      // nginx holds streams back otherwise.
      "x-accel-buffering": "no",
    },
    body,
  };
}

/** JSON has no line breaks of its own, so that each message's data is one line. */
export function streamMessage({ event, id, data }: StreamMessage): string {
  const idLine = id === undefined ? "" : `id: ${id}\n`;
  return `${idLine}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** An event of a job as a message. */
export function eventMessage(event: JobEvent): string {
  return streamMessage({ event: event.kind, id: event.sequence, data: encodeJobEvent(event) });
}

/** The last message: how the job stands, or that it is gone. */
export function doneMessage(jobId: string, record: JobRecord | undefined): string {
  const state = record === undefined ? "not_found" : wireState(record);
  return streamMessage({ event: "done", data: { job_id: jobId, state } });
}
