import { chmodSync, mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import {
  jobStates,
  LongshoreError,
  storeRules,
  type JobEvent,
  type JobEventLog,
  type JobState,
  type JobStore,
} from "@longshore/core";
import { startCommitThread, type CommitThread } from "./commit-thread.ts";
import { insertOperation, insertOutcome } from "./insert-call.ts";
import { toRecord } from "./job-row.ts";
import { countOperation, listOperation, toPage } from "./list-jobs.ts";
import { openDatabase } from "./open-database.ts";
import type { ThreadData } from "./operation.ts";
import { migrate, schemaVersion } from "./schema.ts";
import {
  assertMatched,
  eventOperation,
  finishOperation,
  transitionOperation,
} from "./transition-call.ts";

export interface SqliteJobStoreOptions {
  /** The database file; directories are made. `":memory:"` keeps it in memory */
  readonly path: string;
  /** How long a completed job's idempotency key counts. @default 86_400_000 */
  readonly idempotencyTtlMs?: number | undefined;
  /**
   * `full` survives a power cut: each commit is on the disk before it is reported. `normal` survives any crash of the
   * process, and may lose the last commits in a power cut. @default "full"
   */
  readonly synchronous?: "full" | "normal" | undefined;
  /** Keep the events of jobs, for readers that come later: a row for each, written with what else happens. @default false */
  readonly keepEvents?: boolean | undefined;
  readonly now?: (() => number) | undefined;
}

const pruneChunk = 500;

/**
 * Keeps jobs in a SQLite file. Several processes may use the same file at the same time.
 *
 * A thread of its own runs the SQL, so the event loop never waits for the disk. All calls of one turn of the event loop
 * share a transaction with those that came in while the last one was committed: a burst of jobs costs few fsyncs. An
 * idle store does not keep the process alive. When the thread dies, every call rejects with `IO_ERROR`.
 *
 * @throws {LongshoreError} `IO_ERROR` when the file cannot be opened, `CONFIG_ERROR` when a newer release wrote it
 */
export function sqliteJobStore(options: SqliteJobStoreOptions): JobStore {
  const { idempotencyTtlMs = 86_400_000, now = Date.now, synchronous = "full" } = options;
  const { keepEvents = false } = options;
  const isFile = options.path !== ":memory:";
  const data: ThreadData = {
    // The thread opens it a moment later, when the working directory may be another one.
    path: isFile ? resolve(options.path) : options.path,
    synchronous,
  };
  if (isFile) prepareFile(data);
  const thread = startCommitThread(data);

  async function prune(finishedBeforeMs: number): Promise<number> {
    let count = 0;
    for (;;) {
      const pruned = await thread.send(
        () => ["prune", finishedBeforeMs, pruneChunk],
        (chunk) => chunk,
      );
      count += pruned;
      if (pruned < pruneChunk) break;
    }
    await thread.send(() => ["pruneKeys", now()], ignore);
    return count;
  }

  return {
    name: "sqlite",
    ...(keepEvents && { events: eventLog(thread) }),
    insert: (job) =>
      thread.send(
        () => insertOperation(job, now()),
        (finding) => insertOutcome(job, finding),
      ),
    get: (jobId) =>
      thread.send(
        () => ["get", jobId],
        (row) => (row === undefined ? undefined : toRecord(row)),
      ),
    list: async (query = {}, { signal } = {}) => {
      signal?.throwIfAborted();
      return thread.send(
        () => listOperation(query),
        (rows) => toPage(query, rows),
      );
    },
    count: async (query = {}, { signal } = {}) => {
      signal?.throwIfAborted();
      return thread.send(
        () => countOperation(query),
        (rows) => rows,
      );
    },
    countByState: () =>
      thread.send(
        () => ["count"],
        (rows) => {
          const counts = Object.fromEntries(jobStates.map((state) => [state, 0]));
          for (const { state, count } of rows) counts[state] = count;
          return counts as Record<JobState, number>;
        },
      ),
    transition: (change) =>
      thread.send<"step" | "patch", void>(
        () => transitionOperation(change),
        (mismatch) => {
          assertMatched(mismatch, change);
        },
      ),
    finish: (change) =>
      thread.send(
        () => finishOperation(change, { idempotencyTtlMs, keepEvents }),
        (mismatch) => {
          const { jobId, from, fence, result } = change;
          assertMatched(mismatch, { jobId, from, fence, to: result.status });
        },
      ),
    saveCheckpoint: (jobId, fence, value) =>
      thread.send(
        () => {
          const text = JSON.stringify(value) as string | undefined;
          return ["checkpoint", jobId, fence.owner, fence.attempt, text ?? null];
        },
        (mismatch) => {
          if (mismatch !== undefined) storeRules.assertFence(mismatch.actual, jobId, fence);
        },
      ),
    renewLeases: (owner, leaseExpiresAtMs) =>
      thread.send(() => ["renew", owner, leaseExpiresAtMs], ignore),
    recover: ({ owner, nowMs, leaseExpiresAtMs, jobId = null }) =>
      thread.send(
        () => ["recover", owner, nowMs, leaseExpiresAtMs, jobId],
        (rows) => rows.map(toRecord),
      ),
    prune: ({ finishedBeforeMs }) => prune(finishedBeforeMs),
    wasPruned: (jobId) =>
      thread.send(
        () => ["wasPruned", jobId],
        (wasPruned) => wasPruned,
      ),
    [Symbol.asyncDispose]: () => thread.close(),
  };
}

function eventLog(thread: CommitThread): JobEventLog {
  return {
    append: (event) => thread.send(() => eventOperation(event), ignore),
    read: async (jobId, { afterSequence = -1, limit = 500, signal } = {}) => {
      signal?.throwIfAborted();
      return thread.send(
        () => ["readEvents", jobId, afterSequence, limit],
        (events) => events.map((event) => JSON.parse(event) as JobEvent),
      );
    },
  };
}

function ignore(): void {
  // What was asked for is done: there is nothing to tell.
}

/** Makes and migrates the file on the calling thread: what is wrong with it is known at once. */
function prepareFile(data: ThreadData): void {
  const { path } = data;
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true });
    database = openDatabase(data);
    // Documents may hold secrets: the file is its owner's alone, and so are those SQLite puts beside it.
    chmodSync(path, 0o600);
    const version = migrate(database);
    if (version > schemaVersion) throw newerSchema(path, version);
  } catch (error) {
    if (error instanceof LongshoreError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new LongshoreError("IO_ERROR", `The job store ${path} cannot be opened: ${reason}`, {
      cause: error,
      details: { path },
    });
  } finally {
    database?.close();
  }
}

function newerSchema(path: string, version: number): LongshoreError {
  return new LongshoreError(
    "CONFIG_ERROR",
    `The job store ${path} has schema version ${version}; this release knows ${schemaVersion}. Use a newer release, or another file.`,
    { details: { path, version, supported: schemaVersion } },
  );
}
