import type { JobRecord, JobStore } from "@longshore/core";
import { workerIdOf } from "./lease-id.ts";

/** The store as clients may see it: who has a job, but not the lease, by which anybody could answer it. */
export function clientView(store: JobStore): JobStore {
  return {
    name: store.name,
    events: store.events,
    get: async (jobId) => {
      const record = await store.get(jobId);
      return record === undefined ? undefined : withoutLease(record);
    },
    list: async (query, options) => {
      const { records, ...page } = await store.list(query, options);
      return { records: records.map(withoutLease), ...page };
    },
    count: (query, options) => store.count(query, options),
    wasPruned: (jobId) => store.wasPruned(jobId),
    insert: (job) => store.insert(job),
    countByState: () => store.countByState(),
    transition: (change) => store.transition(change),
    finish: (change) => store.finish(change),
    saveCheckpoint: (jobId, fence, value) => store.saveCheckpoint(jobId, fence, value),
    renewLeases: (owner, leaseExpiresAtMs) => store.renewLeases(owner, leaseExpiresAtMs),
    recover: (options) => store.recover(options),
    prune: (options) => store.prune(options),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

function withoutLease(record: JobRecord): JobRecord {
  return { ...record, owner: workerIdOf(record.owner) };
}
