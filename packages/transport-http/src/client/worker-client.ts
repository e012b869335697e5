import type {
  Abortable,
  Artifact,
  JobDocument,
  JobEvent,
  JobInput,
  JobResult,
  JobState,
  TerminalJobState,
} from "@longshore/core";
import {
  decodeJobEvent,
  decodeJobResult,
  encodeJobDocument,
  LongshoreError,
} from "@longshore/core/wire";
import { httpCall } from "./http-call.ts";
import { readStream } from "./read-stream.ts";
import { toApiNames, type JobStatus } from "./job-status.ts";

export type { JobStatus } from "./job-status.ts";

export interface WorkerClientOptions {
  /** Bearer token */
  readonly token?: string | undefined;
  /** @default the global one */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

export interface SubmittedJob {
  readonly jobId: string;
  /** Whether it repeats a job that had succeeded under the same idempotency key */
  readonly isDeduplicated: boolean;
  readonly warnings: readonly string[];
}

export interface ListJobsOptions extends Abortable {
  readonly states?: readonly JobState[] | undefined;
  readonly operation?: string | undefined;
  readonly namespace?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly order?: "newest" | "oldest" | undefined;
  /** 1–500. @default 100 */
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  /** Also count the jobs of all pages. @default false */
  readonly total?: boolean | undefined;
}

export interface JobStatusPage {
  readonly jobs: readonly JobStatus[];
  /** Absent on the last page */
  readonly nextCursor?: string | undefined;
  /** Jobs of all pages, when it was asked for */
  readonly total?: number | undefined;
}

export interface LogLine {
  /** `stdout`, `stderr`, or `log` for what a handler says itself */
  readonly stream: string;
  readonly line: string;
}

/**
 * A worker, over HTTP; for Node and for browsers. Every call throws a `LongshoreError` with the code that the worker
 * answered, `details.status` is the HTTP status; `TRANSPORT_ERROR` when nobody answers.
 */
export interface WorkerClient {
  submit(job: JobInput, options?: Abortable): Promise<SubmittedJob>;
  /** As `submit`, with a document as it stands in a file. */
  submitDocument(wire: object, options?: Abortable): Promise<SubmittedJob>;
  /** @throws {LongshoreError} `NOT_FOUND` */
  get(jobId: string, options?: Abortable): Promise<JobStatus>;
  list(options?: ListJobsOptions): Promise<JobStatusPage>;
  /** Waits until the job has ended, whatever its end. @throws {LongshoreError} `NOT_FOUND` */
  result(jobId: string, options?: Abortable): Promise<JobResult>;
  /** @throws {LongshoreError} `NOT_FOUND`, `NOT_CANCELLABLE` */
  cancel(
    jobId: string,
    options?: Abortable & { readonly reason?: string; readonly force?: boolean },
  ): Promise<JobState>;
  /** Runs a job that has ended again, as a new one. */
  retry(jobId: string, options?: Abortable): Promise<SubmittedJob>;
  /**
   * What happens to a job, each event once, until it has ended; reconnects by itself.
   *
   * @throws {LongshoreError} `NOT_FOUND`
   */
  events(
    jobId: string,
    options?: Abortable & {
      /** Only events after this one. @default -1 */
      readonly afterSequence?: number;
    },
  ): AsyncIterable<JobEvent>;
  /** The lines that a job writes, until it has ended; of a job that writes very fast some are left out. */
  logLines(
    jobId: string,
    options?: Abortable & {
      readonly stream?: "stdout" | "stderr" | "both";
      /** Begin with so many of those that are there. @default all */
      readonly tail?: number;
    },
  ): AsyncIterable<LogLine>;
  /** What a job has written until now; all of it once it has ended. */
  logText(
    jobId: string,
    options?: Abortable & {
      readonly stream?: "stdout" | "stderr" | "both";
      readonly tail?: number;
    },
  ): Promise<string>;
  artifacts(jobId: string, options?: Abortable): Promise<readonly Artifact[]>;
  /** A file that the job made. @throws {LongshoreError} `NOT_FOUND` */
  artifact(jobId: string, path: string, options?: Abortable): Promise<ReadableStream<Uint8Array>>;
  /** As the worker tells it, in wire names. */
  info(options?: Abortable): Promise<Readonly<Record<string, unknown>>>;
  /** As the worker tells it, in wire names; also when it is not well. */
  health(options?: Abortable): Promise<Readonly<Record<string, unknown>>>;
}

/** How long the worker is asked to hold an answer back, in seconds */
const waitSeconds = 30;

/**
 * @param url where the API is served, e.g. `"http://127.0.0.1:9000"`
 * @throws {TypeError} for a URL that is not one of HTTP
 */
export function createWorkerClient(url: string, options: WorkerClientOptions = {}): WorkerClient {
  const { token, fetch = globalThis.fetch.bind(globalThis) } = options;
  const call = httpCall({ url, token, fetch });
  const pathOf = (jobId: string): string => `/jobs/${encodeURIComponent(jobId)}`;

  async function json<T = Readonly<Record<string, unknown>>>(
    ...request: Parameters<typeof call>
  ): Promise<T> {
    const response = await call(...request);
    return (await response.json()) as T;
  }

  async function submitDocument(wire: object, { signal }: Abortable = {}): Promise<SubmittedJob> {
    return toSubmitted(await json("/jobs", { method: "POST", body: wire, signal }));
  }

  return {
    submitDocument,
    submit({ operation, data, payloadType, jobId, ...rest }, submitOptions) {
      const document = {
        version: "1.0",
        jobId: jobId ?? `job-${crypto.randomUUID()}`,
        operation,
        payload: { data: data ?? {}, ...(payloadType !== undefined && { type: payloadType }) },
        ...rest,
      };
      // What is left out gets its default from the worker.
      return submitDocument(encodeJobDocument(document as unknown as JobDocument), submitOptions);
    },
    get: async (jobId, { signal } = {}) => toApiNames(await json(pathOf(jobId), { signal })),
    async list({ signal, states, labels = {}, ...query } = {}) {
      const search = new URLSearchParams();
      for (const [name, value] of Object.entries(query)) {
        if (value !== undefined) search.set(name, String(value));
      }
      if (states !== undefined) search.set("state", states.join(","));
      for (const [name, value] of Object.entries(labels))
        search.append("label", `${name}=${value}`);
      const page = await json<{
        readonly jobs: readonly Readonly<Record<string, unknown>>[];
        readonly next_cursor?: string;
        readonly total?: number;
      }>(`/jobs?${search.toString()}`, { signal });
      return {
        jobs: page.jobs.map(toApiNames),
        nextCursor: page.next_cursor,
        total: page.total,
      };
    },
    async result(jobId, { signal } = {}) {
      for (;;) {
        const target = `${pathOf(jobId)}/result?wait=${waitSeconds}s`;
        const response = await call(target, { signal, alsoGood: [409] });
        if (response.ok) return decodeJobResult(await response.json());
        await response.body?.cancel();
      }
    },
    async cancel(jobId, { reason, force, signal } = {}) {
      const { state } = await json<{ readonly state: JobState }>(`${pathOf(jobId)}/cancel`, {
        method: "POST",
        body: { reason, force },
        signal,
      });
      return state;
    },
    retry: async (jobId, { signal } = {}) =>
      toSubmitted(await json(`${pathOf(jobId)}/retry`, { method: "POST", body: {}, signal })),
    async *events(jobId, { afterSequence, signal } = {}) {
      const target = `${pathOf(jobId)}/events`;
      for await (const { event, data } of readStream({ call, target, afterSequence, signal })) {
        if (event !== "done") yield decodeJobEvent(JSON.parse(data));
      }
    },
    async *logLines(jobId, { stream = "both", tail, signal } = {}) {
      const search = `?follow=true&stream=${stream}${tail === undefined ? "" : `&tail=${tail}`}`;
      const target = `${pathOf(jobId)}/logs${search}`;
      for await (const { event, data } of readStream({ call, target, signal })) {
        if (event === "log") yield JSON.parse(data) as LogLine;
      }
    },
    async logText(jobId, { stream = "both", tail, signal } = {}) {
      const search = `?stream=${stream}${tail === undefined ? "" : `&tail=${tail}`}`;
      return (await call(`${pathOf(jobId)}/logs${search}`, { signal })).text();
    },
    async artifacts(jobId, { signal } = {}) {
      const { artifacts } = await json<{
        readonly artifacts: readonly (Artifact & { readonly media_type?: string })[];
      }>(`${pathOf(jobId)}/artifacts`, { signal });
      return artifacts.map(({ path, size, sha256, media_type: mediaType }) => ({
        path,
        size,
        sha256,
        mediaType,
      }));
    },
    async artifact(jobId, path, { signal } = {}) {
      const encoded = path.split("/").map(encodeURIComponent).join("/");
      const { body } = await call(`${pathOf(jobId)}/artifacts/${encoded}`, { signal });
      if (body !== null) return body;
      throw new LongshoreError("TRANSPORT_ERROR", "The answer has no body.");
    },
    info: ({ signal } = {}) => json("/info", { signal }),
    health: ({ signal } = {}) => json("/health?verbose=true", { signal, alsoGood: [503] }),
  };
}

function toSubmitted(answer: Readonly<Record<string, unknown>>): SubmittedJob {
  const { job_id: jobId, deduplicated, warnings } = answer;
  return {
    jobId: String(jobId),
    isDeduplicated: deduplicated === true,
    warnings: Array.isArray(warnings) ? warnings.map(String) : [],
  };
}

export type { JobEvent, JobResult, JobState, TerminalJobState };
