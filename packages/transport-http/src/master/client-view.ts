import type { JobRecord, JobStore } from "@longshore/core";
import type { JobView } from "../api-context.ts";
import { workerIdOf } from "./lease-id.ts";

/** The store as clients may see it: who has a job, but not the lease, by which anybody could answer it. */
export function clientView(store: JobStore): JobView {
  return {
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
  };
}

function withoutLease(record: JobRecord): JobRecord {
  return { ...record, owner: workerIdOf(record.owner) };
}
