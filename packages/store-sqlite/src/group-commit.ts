import type { DatabaseSync } from "node:sqlite";
import type { Answer, Operation, Outcome } from "./operation.ts";
import { operationRunner } from "./operation-runner.ts";

/** Runs operations on a database, many in one transaction. Blocks its thread, also while another process writes. */
export interface GroupCommit {
  /**
   * Runs the operations in order and commits them. An operation that does not match changes nothing; one that fails
   * (a value the table refuses) is undone by itself. Any other failure undoes them all.
   */
  commit(operations: readonly Operation[]): Answer;
  /** Moves what was committed from the log into the database, when there is enough of it. */
  checkpoint(when: "idle" | "busy"): void;
}

export interface GroupCommitOptions {
  /** How long another process may hold the database before operations are given up. @default 30_000 */
  readonly busyLimitMs?: number | undefined;
}

const minBusyPauseMs = 0.2;
const maxBusyPauseMs = 4;
/** Pages in the log that make a checkpoint worth its fsync, when nobody waits. */
const idlePages = 256;
/** Pages in the log after which those who wait have to wait: bounds the length of the pause, and the log. */
const busyPages = 1_024;

export function groupCommit(
  database: DatabaseSync,
  { busyLimitMs = 30_000 }: GroupCommitOptions = {},
): GroupCommit {
  const runner = operationRunner(database);
  const begin = database.prepare("BEGIN");
  const beginImmediate = database.prepare("BEGIN IMMEDIATE");
  const commit = database.prepare("COMMIT");
  const rollback = database.prepare("ROLLBACK");
  const passiveCheckpoint = database.prepare("PRAGMA wal_checkpoint(PASSIVE)");
  // Waiting is done here, in small steps: SQLite's own waits grow so long that a busy neighbour starves this process.
  database.exec("PRAGMA busy_timeout = 0");
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  /** Roughly: what the log holds is not to be had without reading it. */
  let logPages = 0;

  function transact(operations: readonly Operation[]): Map<number, Outcome> {
    const isWrite = operations.some(writes);
    const deadlineMs = Date.now() + busyLimitMs;
    for (let pauseMs = minBusyPauseMs; ; pauseMs = Math.min(pauseMs * 2, maxBusyPauseMs)) {
      const outcomes = new Map<number, Outcome>();
      try {
        (isWrite ? beginImmediate : begin).run();
        runner.run(operations, (index, outcome) => {
          outcomes.set(index, outcome);
        });
        commit.run();
        if (isWrite) logPages += pagesOf(operations);
        return outcomes;
      } catch (error) {
        if (database.isTransaction) rollback.run();
        if (!isBusy(error) || Date.now() > deadlineMs) throw error;
        // Uneven, lest two processes that wait for each other keep in step.
        Atomics.wait(sleeper, 0, 0, pauseMs * (0.5 + Math.random()));
      }
    }
  }

  function oneByOne(operations: readonly Operation[]): Map<number, Outcome> {
    const outcomes = new Map<number, Outcome>();
    for (const [index, operation] of operations.entries()) {
      try {
        const outcome = transact([operation]).get(0);
        if (outcome !== undefined) outcomes.set(index, outcome);
      } catch (error) {
        outcomes.set(index, toError(error));
      }
    }
    return outcomes;
  }

  function outcomesOf(operations: readonly Operation[]): Map<number, Outcome> {
    try {
      return transact(operations);
    } catch (error) {
      if (operations.length > 1 && isFaultOfOne(error)) return oneByOne(operations);
      const failure = toError(error);
      return new Map(operations.map((_, index) => [index, failure]));
    }
  }

  return {
    commit: (operations) => ({ count: operations.length, outcomes: outcomesOf(operations) }),
    checkpoint(when) {
      if (logPages < (when === "idle" ? idlePages : busyPages)) return;
      logPages = 0;
      try {
        passiveCheckpoint.get();
      } catch {
        // The log is complete without it, and the next checkpoint moves what this one did not.
      }
    },
  };
}

const reading: ReadonlySet<Operation[0]> = new Set<Operation[0]>([
  "get",
  "list",
  "count",
  "countJobs",
  "wasPruned",
  "readEvents",
]);

function writes([kind]: Operation): boolean {
  return !reading.has(kind);
}

const pageBytes = 4_096;
/** Pages that even the smallest transaction writes: the rows, their indexes and the way down to them */
const pagesOfTransaction = 4;
const pagesOfOperation = 0.25;

function pagesOf(operations: readonly Operation[]): number {
  let bytes = 0;
  for (const operation of operations) {
    if (operation[0] === "insert") bytes += operation[11].length;
    else if (operation[0] === "finish") bytes += operation[8].length;
    else if (operation[0] === "event") bytes += operation[3].length;
    else if (operation[0] === "checkpoint") bytes += operation[4]?.length ?? 0;
  }
  return pagesOfTransaction + operations.length * pagesOfOperation + bytes / pageBytes;
}

const sqliteBusy = 5;
/** Too big, constraint, mismatch, range: what SQLite says of a value and not of the database */
const valueErrors: ReadonlySet<number> = new Set([18, 19, 20, 25]);

/** SQLite's primary result code; `undefined` for an error that is not SQLite's. */
function resultCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  return typeof error.errcode === "number" ? error.errcode & 0xff : undefined;
}

function isBusy(error: unknown): boolean {
  return resultCode(error) === sqliteBusy;
}

function isFaultOfOne(error: unknown): boolean {
  const code = resultCode(error);
  return code === undefined || valueErrors.has(code);
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
