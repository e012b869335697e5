import {
  isJobId,
  jobObject,
  LongshoreError,
  type JobEventLog,
  type JobHandle,
  type JobRecord,
  type JobStore,
  type Worker,
} from "@longshore/core";
import type { ApiRequest } from "./api-route.ts";
import { HttpError } from "./http-error.ts";
import type { JobFeeds } from "./jobs/job-feed.ts";
import type { StreamSlots } from "./stream-slots.ts";
import { WithFields } from "./with-fields.ts";

/** Who takes jobs in and ends them: a worker, or a master on behalf of its workers. */
export interface JobDesk extends Pick<Worker, "checkDocument" | "cancel"> {
  submitDocument(
    ...job: Parameters<Worker["submitDocument"]>
  ): Promise<Pick<JobHandle, "jobId" | "isDeduplicated">>;
}

/** What clients may read of a store. */
export type JobView = Pick<JobStore, "get" | "list" | "count" | "wasPruned">;

/** What the routes of jobs work with. */
export interface ApiContext {
  readonly worker: JobDesk;
  readonly store: JobView;
  /** The store's events */
  readonly log: JobEventLog;
  readonly feeds: JobFeeds;
  readonly slots: StreamSlots;
  /** Where the worker keeps artifacts, one directory for each job */
  readonly artifactsDir: string | undefined;
  readonly maxBodyBytes: number;
  /** How often a stream on which nothing happens shows that it lives, in milliseconds */
  readonly heartbeatMs: number;
}

/** What a worker's own routes work with. */
export interface WorkerApiContext extends ApiContext {
  readonly worker: Worker;
  readonly startedAt: Date;
}

/**
 * The events that a store keeps.
 *
 * @throws {LongshoreError} `CONFIG_ERROR` for a store that keeps none
 */
export function eventLogOf({ name, events }: JobStore): JobEventLog {
  if (events !== undefined) return events;
  throw new LongshoreError(
    "CONFIG_ERROR",
    `The store "${name}" keeps no events; make it with keepEvents: true.`,
  );
}

/**
 * The job that a request names, once the policy lets its subject do that to it.
 *
 * @throws {LongshoreError} `NOT_FOUND`, `VALIDATION_ERROR`, `POLICY_DENIED`
 */
export async function jobOf(
  { store }: ApiContext,
  request: ApiRequest,
  action: "query" | "manage" | "execute",
): Promise<JobRecord> {
  const { id = "" } = request.params;
  if (!isJobId(id)) {
    throw new LongshoreError("VALIDATION_ERROR", "The path names no job id.", {
      details: { issues: [{ path: "job_id", code: "invalid_format", message: "is no job id" }] },
    });
  }
  const record = await store.get(id);
  if (record === undefined) throw await notThere(store, id);
  if (action === "manage" && (await isOwn(record, request))) return record;
  await request.authorize(objectOf(record), action);
  return record;
}

async function notThere(store: JobView, id: string): Promise<WithFields> {
  const isGone = await store.wasPruned(id);
  const reason = new HttpError(
    "NOT_FOUND",
    isGone ? `Job ${id} ended so long ago that it was deleted.` : `There is no job ${id}.`,
    { status: isGone ? 410 : 404, details: { jobId: id } },
  );
  return new WithFields(reason, { job_id: id, state: "not_found" });
}

/** Who submitted a job may also end it, for as long as the policy lets them submit it. */
async function isOwn(record: JobRecord, request: ApiRequest): Promise<boolean> {
  if (record.submittedBy === undefined || record.submittedBy !== request.subject) return false;
  return request.isAllowed(objectOf(record), "execute");
}

export function objectOf({ document }: Pick<JobRecord, "document">): string {
  return jobObject(document.metadata?.namespace ?? "default", document.operation);
}
