import type { JobEntry, Lease } from "./job-entry.ts";

/** Every job that has not ended, and which worker has which. */
export interface JobBook {
  readonly size: number;
  get(jobId: string): JobEntry | undefined;
  values(): IterableIterator<JobEntry>;
  add(entry: JobEntry): void;
  remove(entry: JobEntry): void;
  /** Jobs under a lease of the worker, its time over or not */
  leasedBy(workerId: string): readonly JobEntry[];
  lease(entry: JobEntry, lease: Lease): void;
  unlease(entry: JobEntry): void;
  readonly leasedCount: number;
}

export function jobBook(): JobBook {
  const entries = new Map<string, JobEntry>();
  const byWorker = new Map<string, Set<JobEntry>>();
  let leasedCount = 0;

  function lease(entry: JobEntry, given: Lease): void {
    entry.lease = given;
    const jobs = byWorker.get(given.workerId) ?? new Set();
    byWorker.set(given.workerId, jobs.add(entry));
    leasedCount += 1;
  }

  function unlease(entry: JobEntry): void {
    if (entry.lease === undefined) return;
    const { workerId } = entry.lease;
    const jobs = byWorker.get(workerId);
    jobs?.delete(entry);
    if (jobs?.size === 0) byWorker.delete(workerId);
    entry.lease = undefined;
    leasedCount -= 1;
  }

  return {
    get size() {
      return entries.size;
    },
    get leasedCount() {
      return leasedCount;
    },
    get: (jobId) => entries.get(jobId),
    values: () => entries.values(),
    add(entry) {
      entries.set(entry.jobId, entry);
      if (entry.lease !== undefined) lease(entry, entry.lease);
    },
    remove(entry) {
      entries.delete(entry.jobId);
      unlease(entry);
    },
    leasedBy: (workerId) => [...(byWorker.get(workerId) ?? [])],
    lease,
    unlease,
  };
}
