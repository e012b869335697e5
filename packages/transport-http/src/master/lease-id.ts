import { randomBytes } from "node:crypto";
import { isJobId, type JobRecord } from "@longshore/core";

/** Stands between the parts of a name; no job and no worker has it in its id */
const separator = "~";

/** How a lease is written into a job's record: by the owner, which every later change has to name. */
export interface LeaseName {
  readonly jobId: string;
  readonly workerId: string;
  readonly leaseId: string;
  /** Owner of the record while the lease lives */
  readonly owner: string;
}

/** A lease that nobody can guess. */
export function newLease(jobId: string, workerId: string): LeaseName {
  return nameLease(jobId, workerId, randomBytes(16).toString("base64url"));
}

function nameLease(jobId: string, workerId: string, secret: string): LeaseName {
  return {
    jobId,
    workerId,
    leaseId: `${jobId}${separator}${secret}`,
    owner: `${workerId}${separator}${secret}`,
  };
}

/** The lease that a record is, or was last, under; `undefined` for one that waits. */
export function leaseOf({
  jobId,
  owner,
}: Pick<JobRecord, "jobId" | "owner">): LeaseName | undefined {
  const at = owner.indexOf(separator);
  return at === -1 ? undefined : nameLease(jobId, owner.slice(0, at), owner.slice(at + 1));
}

/** The job that a lease id names; `undefined` for an id that no master of ours has made. */
export function jobIdOf(leaseId: string): string | undefined {
  const at = leaseId.indexOf(separator);
  const jobId = leaseId.slice(0, at);
  return at > 0 && isJobId(jobId) ? jobId : undefined;
}

/** The owner as it may be told to whoever asks: without what is the worker's alone to know. */
export function workerIdOf(owner: string): string {
  const [workerId = owner] = owner.split(separator, 1);
  return workerId;
}
