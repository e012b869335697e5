import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import {
  jobStates,
  LongshoreError,
  storeRules,
  type JobState,
  type JobStore,
} from "@longshore/core";
import { groupCommit } from "./group-commit.ts";
import { insertJob } from "./insert-job.ts";
import { toRecord, type JobRow } from "./job-row.ts";
import { listJobs } from "./list-jobs.ts";
import { migrate } from "./schema.ts";
import { prepareStatements } from "./statements.ts";

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
  readonly now?: (() => number) | undefined;
}

const pruneChunk = 500;
/** Wait inside SQLite for another process's commit, before the event loop gets its turn again. */
const busyTimeoutMs = 250;

/**
 * Keeps jobs in a SQLite file. Several processes may use the same file at the same time.
 *
 * All changes of one turn of the event loop share a transaction, so that a burst of jobs costs few fsyncs.
 *
 * @throws {LongshoreError} `IO_ERROR` when the file cannot be opened, `CONFIG_ERROR` when a newer release wrote it
 */
export function sqliteJobStore(options: SqliteJobStoreOptions): JobStore {
  const { path, idempotencyTtlMs = 86_400_000, now = Date.now } = options;
  const database = openDatabase(options);
  const statements = prepareStatements(database);
  const commits = groupCommit(database);
  let closing: Promise<void> | undefined;

  function explain(change: Parameters<typeof storeRules.assertChange>[1]): never {
    const actual = statements.getFence.get(change.jobId) as storeRules.FencedRecord | undefined;
    storeRules.assertChange(actual, change);
    throw new LongshoreError("INTERNAL_ERROR", `Job ${change.jobId} could not be changed.`);
  }

  async function prune(finishedBeforeMs: number): Promise<number> {
    let count = 0;
    for (;;) {
      const pruned = await commits.write(() => {
        const rows = statements.pruneJobs.all(finishedBeforeMs, pruneChunk);
        for (const { seq } of rows) {
          statements.deleteDocument.run(seq ?? null);
          statements.deleteResult.run(seq ?? null);
        }
        return rows.length;
      });
      count += pruned;
      if (pruned < pruneChunk) break;
    }
    await commits.write(() => statements.pruneKeys.run(now()));
    return count;
  }

  return {
    name: "sqlite",
    insert: (job) => commits.write(() => insertJob(statements, job, now())),
    get: (jobId) =>
      commits.read(() => {
        const row = statements.getJob.get(jobId) as JobRow | undefined;
        return row === undefined ? undefined : toRecord(row);
      }),
    list: async (query = {}, { signal } = {}) => {
      signal?.throwIfAborted();
      return commits.read(() => listJobs(database, query));
    },
    countByState: () =>
      commits.read(() => {
        const counts = Object.fromEntries(jobStates.map((state) => [state, 0]));
        for (const { state, count } of statements.countByState.all()) {
          counts[String(state)] = Number(count);
        }
        return counts as Record<JobState, number>;
      }),
    transition: (change) =>
      commits.write(() => {
        const { jobId, from, to, fence, patch = {} } = change;
        storeRules.assertStep(from, to);
        const { changes } = statements.transition.run(
          to,
          patch.owner ?? null,
          patch.attempt ?? null,
          patch.leaseExpiresAtMs ?? null,
          patch.startedAtMs ?? null,
          patch.notBeforeMs ?? null,
          patch.history === undefined ? null : JSON.stringify(patch.history),
          patch.nextSequence ?? null,
          jobId,
          from,
          fence.owner,
          fence.attempt,
        );
        if (Number(changes) === 0) explain(change);
      }),
    finish: ({ jobId, from, fence, result, finishedAtMs, nextSequence }) =>
      commits.write(() => {
        const to = result.status;
        storeRules.assertStep(from, to);
        const row = statements.finish.get(
          to,
          finishedAtMs,
          nextSequence ?? null,
          jobId,
          from,
          fence.owner,
          fence.attempt,
        );
        if (row === undefined) explain({ jobId, from, to, fence });
        statements.insertResult.run(row["seq"] ?? null, JSON.stringify(result));
        const scope = row["idempotency_scope"] ?? null;
        if (scope === null) return;
        if (to === "completed") {
          statements.expireKey.run(finishedAtMs + idempotencyTtlMs, scope, jobId);
        } else {
          statements.deleteKey.run(scope, jobId);
        }
      }),
    saveCheckpoint: (jobId, fence, value) =>
      commits.write(() => {
        const text = JSON.stringify(value);
        const { changes } = statements.saveCheckpoint.run(text, jobId, fence.owner, fence.attempt);
        if (Number(changes) > 0) return;
        const actual = statements.getFence.get(jobId) as storeRules.FencedRecord | undefined;
        storeRules.assertFence(actual, jobId, fence);
      }),
    renewLeases: async (owner, leaseExpiresAtMs) => {
      await commits.write(() => statements.renewLeases.run(leaseExpiresAtMs, owner));
    },
    recover: ({ owner, nowMs, leaseExpiresAtMs, jobId = null }) =>
      commits.write(() => {
        statements.takeOver.run({
          owner,
          now: nowMs,
          leaseExpiresAt: leaseExpiresAtMs,
          jobId,
        });
        const rows = statements.takenOver.all({ owner, jobId }) as unknown as readonly JobRow[];
        return rows.map(toRecord);
      }),
    prune: ({ finishedBeforeMs }) => prune(finishedBeforeMs),
    [Symbol.asyncDispose]() {
      closing ??= commits.close().then(() => {
        database.close();
      });
      return closing;
    },
  };

  function openDatabase({ synchronous = "full" }: SqliteJobStoreOptions): DatabaseSync {
    let opened: DatabaseSync | undefined;
    try {
      const isFile = path !== ":memory:";
      if (isFile) mkdirSync(dirname(path), { recursive: true });
      opened = new DatabaseSync(path, { timeout: 5_000 });
      // Documents may hold secrets: the file is its owner's alone, and so are those SQLite puts beside it.
      if (isFile) chmodSync(path, 0o600);
      opened.exec("PRAGMA journal_mode = WAL");
      opened.exec(`PRAGMA synchronous = ${synchronous === "normal" ? "NORMAL" : "FULL"}`);
      opened.exec("PRAGMA journal_size_limit = 67108864");
      migrate(opened, path);
      opened.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
      return opened;
    } catch (error) {
      opened?.close();
      if (error instanceof LongshoreError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      throw new LongshoreError("IO_ERROR", `The job store ${path} cannot be opened: ${reason}`, {
        cause: error,
        details: { path },
      });
    }
  }
}
