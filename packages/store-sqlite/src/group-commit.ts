import type { DatabaseSync } from "node:sqlite";
import { isLongshoreError, LongshoreError } from "@longshore/core";

/** Runs operations on a database, many in one transaction. */
export interface GroupCommit {
  /**
   * Resolves with what the operation returned once the transaction it was part of is committed. An operation throws a
   * `LongshoreError` only before its first write; any other error undoes the whole transaction.
   */
  write<T>(operation: () => T): Promise<T>;
  /** The same for an operation that does not write; it sees everything that was called before. */
  read<T>(operation: () => T): Promise<T>;
  /** Commits what is waiting, then refuses everything. */
  close(): Promise<void>;
}

interface Pending {
  readonly isWrite: boolean;
  readonly run: () => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/** Operations in one transaction: bounds how long the event loop stands still. */
const maxBatch = 2_000;
/** How long another process may hold the database before the operations are given up, in milliseconds. */
const busyLimitMs = 30_000;
const busyRetryMs = 10;

export function groupCommit(database: DatabaseSync): GroupCommit {
  let queue: Pending[] = [];
  let isScheduled = false;
  let busySinceMs: number | undefined;
  let isClosed = false;
  let onEmpty: (() => void) | undefined;

  const begin = database.prepare("BEGIN");
  const beginImmediate = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const rollback = database.prepare("ROLLBACK");

  function enqueue<T>(isWrite: boolean, run: () => T): Promise<T> {
    if (isClosed) {
      return Promise.reject(new LongshoreError("IO_ERROR", "The sqlite job store is closed."));
    }
    return new Promise<T>((resolve, reject) => {
      queue.push({ isWrite, run, resolve, reject });
      schedule();
    });
  }

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    // Everything that is called in this turn of the event loop shares the transaction, and its fsync.
    setImmediate(flush);
  }

  function flush(): void {
    isScheduled = false;
    const batch = queue.length > maxBatch ? queue.slice(0, maxBatch) : queue;
    const isWrite = batch.some((pending) => pending.isWrite);
    try {
      (isWrite ? beginImmediate : begin).run();
    } catch (error) {
      if (waitForOthers(error)) return;
      take(batch);
      for (const { reject } of batch) reject(toIoError(error));
      next();
      return;
    }
    busySinceMs = undefined;
    take(batch);
    runBatch(batch);
    next();
  }

  function runBatch(batch: readonly Pending[]): void {
    const settle: (() => void)[] = [];
    try {
      for (const { run, resolve, reject } of batch) {
        try {
          const value = run() as never;
          settle.push(() => {
            resolve(value);
          });
        } catch (error) {
          if (!isLongshoreError(error)) throw error;
          settle.push(() => {
            reject(error);
          });
        }
      }
      commit.run();
    } catch (error) {
      if (database.isTransaction) rollback.run();
      for (const { reject } of batch) reject(toIoError(error));
      return;
    }
    for (const done of settle) done();
  }

  /** Another process writes: true when this one tries again. */
  function waitForOthers(error: unknown): boolean {
    if (!isBusy(error)) return false;
    busySinceMs ??= Date.now();
    if (Date.now() - busySinceMs > busyLimitMs) {
      busySinceMs = undefined;
      return false;
    }
    isScheduled = true;
    setTimeout(flush, busyRetryMs);
    return true;
  }

  function take(batch: readonly Pending[]): void {
    queue = batch.length === queue.length ? [] : queue.slice(batch.length);
  }

  function next(): void {
    if (queue.length > 0) schedule();
    else onEmpty?.();
  }

  return {
    write: (operation) => enqueue(true, operation),
    read: (operation) => enqueue(false, operation),
    close() {
      isClosed = true;
      if (queue.length === 0) return Promise.resolve();
      return new Promise((resolve) => {
        onEmpty = resolve;
      });
    },
  };
}

const sqliteBusy = 5;

function isBusy(error: unknown): boolean {
  return (
    error instanceof Error &&
    "errcode" in error &&
    typeof error.errcode === "number" &&
    (error.errcode & 0xff) === sqliteBusy
  );
}

function toIoError(error: unknown): LongshoreError {
  const reason = error instanceof Error ? error.message : String(error);
  return new LongshoreError("IO_ERROR", `The job store could not be written: ${reason}`, {
    cause: error,
  });
}
