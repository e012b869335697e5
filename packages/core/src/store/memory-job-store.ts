import { LongshoreError } from "../errors/longshore-error.ts";
import type { JobEvent } from "../job/job-event.ts";
import { isTerminal, jobStates, type JobState } from "../job/job-state.ts";
import { formatCursor, isMatch, pageLimit, parseCursor } from "./job-query.ts";
import { memoryEvents } from "./memory-events.ts";
import type { InsertOutcome, JobCount, JobRecord, JobStore, NewJob } from "./job-store.ts";
import {
  assertChange,
  assertFence,
  copyResult,
  decideIdempotency,
  idempotencyScope,
  jobExists,
  rememberedJobs,
  storeClosed,
  type IdempotencyEntry,
} from "./store-rules.ts";

export interface MemoryJobStoreOptions {
  /** How long a completed job's idempotency key counts. @default 86_400_000 */
  readonly idempotencyTtlMs?: number | undefined;
  /** Keep the events of jobs, for readers that come later. @default false */
  readonly keepEvents?: boolean | undefined;
  readonly now?: (() => number) | undefined;
}

/** Keeps jobs in the process's memory: for tests, and for work that may be lost with the process. */
export function memoryJobStore(options: MemoryJobStoreOptions = {}): JobStore {
  const { idempotencyTtlMs = 86_400_000, keepEvents = false, now = Date.now } = options;
  const records = new Map<string, JobRecord>();
  const events = memoryEvents();
  const keys = new Map<string, IdempotencyEntry>();
  const pruned = new Set<string>();
  let isClosed = false;

  /** Runs a change at once, and reports it as a promise: callers see the order of their calls. */
  async function act<T>(change: () => T): Promise<T> {
    if (isClosed) throw storeClosed("memory");
    return change();
  }

  function remember(jobId: string): void {
    pruned.delete(jobId);
    pruned.add(jobId);
    if (pruned.size <= rememberedJobs) return;
    const [oldest] = pruned;
    if (oldest !== undefined) pruned.delete(oldest);
  }

  function keep(event: JobEvent): void {
    const record = records.get(event.jobId);
    if (record === undefined || !events.add(event)) return;
    const nextSequence = Math.max(record.nextSequence, event.sequence + 1);
    records.set(event.jobId, { ...record, nextSequence });
  }

  function liveEntry(scope: string | undefined) {
    if (scope === undefined) return undefined;
    const entry = keys.get(scope);
    const record = entry === undefined ? undefined : records.get(entry.jobId);
    if (entry === undefined || record === undefined) return undefined;
    if (isTerminal(record.state) && (record.state !== "completed" || entry.expiresAtMs <= now())) {
      return undefined;
    }
    return { ...entry, state: record.state, record };
  }

  function insert(job: NewJob): InsertOutcome {
    const { document } = job;
    const known = records.get(document.jobId);
    if (known !== undefined) {
      if (!isRedelivery(known, job)) throw jobExists(document.jobId);
      if (known.state !== "abandoned") return { kind: "redelivered", record: known };
    }
    const scope = idempotencyScope(document);
    const entry = liveEntry(scope);
    const decision = entry === undefined ? "accept" : decideIdempotency(job, entry);
    if (decision === "deduplicate" && entry?.record.result !== undefined) {
      const result = copyResult(entry.record.result, job);
      const record = newRecord(job, known, {
        state: "completed",
        result,
        finishedAtMs: job.acceptedAtMs,
      });
      records.set(document.jobId, record);
      return { kind: "deduplicated", record };
    }
    if (scope !== undefined) {
      const { payloadDigest } = job;
      if (payloadDigest === undefined) {
        throw new LongshoreError("VALIDATION_ERROR", "A job with a key needs its payloadDigest.");
      }
      keys.set(scope, { jobId: document.jobId, payloadDigest, expiresAtMs: Infinity });
    }
    const record = newRecord(job, known, { state: "queued" });
    // A record that comes anew goes to the end: the map keeps the order of acceptance.
    records.delete(document.jobId);
    records.set(document.jobId, record);
    return { kind: "accepted", record };
  }

  return {
    name: "memory",
    ...(keepEvents && {
      events: {
        append: (event) =>
          act(() => {
            keep(event);
          }),
        read: (jobId, readOptions = {}) =>
          act(() => {
            readOptions.signal?.throwIfAborted();
            return events.read(jobId, readOptions);
          }),
      },
    }),
    insert: (job) => act(() => insert(job)),
    get: (jobId) => act(() => records.get(jobId)),
    list: (query = {}, { signal } = {}) =>
      act(() => {
        signal?.throwIfAborted();
        const limit = pageLimit(query);
        const cursor = query.cursor === undefined ? undefined : parseCursor(query.cursor);
        const direction = query.order === "oldest" ? 1 : -1;
        const matching = [...records.values()]
          .filter((record) => isMatch(record, query))
          .toSorted((a, b) => direction * compareAcceptance(a, b))
          .filter(
            (record) => cursor === undefined || direction * compareAcceptance(record, cursor) > 0,
          );
        const page = matching.slice(0, limit);
        const last = page.at(-1);
        return {
          records: page,
          ...(last !== undefined &&
            matching.length > limit && {
              nextCursor: formatCursor({ acceptedAtMs: last.acceptedAtMs, jobId: last.jobId }),
            }),
        };
      }),
    count: (query = {}, { signal } = {}) =>
      act(() => {
        signal?.throwIfAborted();
        const counts = new Map<string, JobCount>();
        for (const record of records.values()) {
          if (!isMatch(record, query)) continue;
          const { operation, metadata } = record.document;
          const namespace = metadata?.namespace ?? "default";
          const key = `${namespace}/${operation}`;
          const { count } = counts.get(key) ?? { count: 0 };
          counts.set(key, { namespace, operation, count: count + 1 });
        }
        return [...counts.values()];
      }),
    countByState: () =>
      act(() => {
        const counts = emptyCounts();
        for (const { state } of records.values()) counts[state] += 1;
        return counts;
      }),
    transition: (change) =>
      act(() => {
        const record = records.get(change.jobId);
        assertChange(record, change);
        if (record === undefined) return;
        const { nextSequence = 0 } = change.patch ?? {};
        records.set(change.jobId, {
          ...record,
          ...change.patch,
          nextSequence: Math.max(record.nextSequence, nextSequence),
          state: change.to,
        });
      }),
    finish: ({ jobId, from, fence, result, finishedAtMs, nextSequence, event }) =>
      act(() => {
        const record = records.get(jobId);
        assertChange(record, { jobId, from, to: result.status, fence });
        if (record === undefined) return;
        records.set(jobId, {
          ...record,
          state: result.status,
          result,
          finishedAtMs,
          history: result.history,
          nextSequence: Math.max(record.nextSequence, nextSequence ?? 0),
        });
        if (keepEvents && event !== undefined) keep(event);
        const scope = idempotencyScope(record.document);
        const entry = scope === undefined ? undefined : keys.get(scope);
        if (scope === undefined || entry?.jobId !== jobId) return;
        if (result.status === "completed") {
          keys.set(scope, { ...entry, expiresAtMs: finishedAtMs + idempotencyTtlMs });
        } else {
          keys.delete(scope);
        }
      }),
    saveCheckpoint: (jobId, fence, value) =>
      act(() => {
        const record = records.get(jobId);
        assertFence(record, jobId, fence);
        if (record === undefined) return;
        records.set(jobId, { ...record, checkpoint: structuredClone(value) });
      }),
    renewLeases: (owner, leaseExpiresAtMs) =>
      act(() => {
        for (const [jobId, record] of records) {
          if (record.owner === owner && !isTerminal(record.state)) {
            records.set(jobId, { ...record, leaseExpiresAtMs });
          }
        }
      }),
    recover: ({ owner, nowMs, leaseExpiresAtMs, jobId }) =>
      act(() => {
        const taken: JobRecord[] = [];
        for (const [id, record] of records) {
          if (isTerminal(record.state) || (jobId !== undefined && jobId !== id)) continue;
          const isExpired = record.leaseExpiresAtMs <= nowMs;
          const isLeftToTransport = record.source !== undefined && jobId === undefined;
          if (record.owner !== owner && (!isExpired || isLeftToTransport)) continue;
          const own = { ...record, owner, leaseExpiresAtMs };
          records.set(id, own);
          taken.push(own);
        }
        return taken;
      }),
    prune: ({ finishedBeforeMs }) =>
      act(() => {
        let count = 0;
        for (const [jobId, record] of records) {
          if ((record.finishedAtMs ?? Infinity) >= finishedBeforeMs) continue;
          records.delete(jobId);
          events.forget(jobId);
          remember(jobId);
          count += 1;
        }
        for (const [scope, entry] of keys) {
          if (entry.expiresAtMs <= now() || !records.has(entry.jobId)) keys.delete(scope);
        }
        return count;
      }),
    wasPruned: (jobId) => act(() => pruned.has(jobId)),
    [Symbol.asyncDispose]() {
      isClosed = true;
      return Promise.resolve();
    },
  };
}

/** The order of acceptance, ids breaking ties. */
function compareAcceptance(
  a: Pick<JobRecord, "acceptedAtMs" | "jobId">,
  b: Pick<JobRecord, "acceptedAtMs" | "jobId">,
): number {
  if (a.acceptedAtMs !== b.acceptedAtMs) return a.acceptedAtMs - b.acceptedAtMs;
  return a.jobId < b.jobId ? -1 : Number(a.jobId > b.jobId);
}

function isRedelivery(known: JobRecord, job: NewJob): boolean {
  return (
    known.source !== undefined &&
    known.documentDigest !== undefined &&
    known.source.transport === job.source?.transport &&
    known.documentDigest === job.documentDigest
  );
}

function newRecord(
  job: NewJob,
  earlier: JobRecord | undefined,
  end: Pick<JobRecord, "state" | "result" | "finishedAtMs">,
): JobRecord {
  return {
    jobId: job.document.jobId,
    document: job.document,
    attempt: job.attempt ?? job.document.execution.attempt,
    owner: job.owner,
    leaseExpiresAtMs: job.leaseExpiresAtMs,
    acceptedAtMs: job.acceptedAtMs,
    source: job.source,
    documentDigest: job.documentDigest,
    submittedBy: job.submittedBy,
    history: earlier?.history ?? [],
    nextSequence: earlier?.nextSequence ?? 0,
    checkpoint: earlier?.checkpoint,
    ...end,
  };
}

function emptyCounts(): Record<JobState, number> {
  return Object.fromEntries(jobStates.map((state) => [state, 0])) as Record<JobState, number>;
}
