import type { DatabaseSync } from "node:sqlite";
import type { JobCount } from "@longshore/core";
import { insertJob, type JobTables } from "./insert-job.ts";
import { keepEvent } from "./keep-event.ts";
import { jobLocations } from "./job-locations.ts";
import type { JobRow } from "./job-row.ts";
import type {
  FinishOperation,
  Mismatch,
  Operation,
  Outcome,
  RecoverOperation,
  StateCount,
  StepOperation,
} from "./operation.ts";
import { prepareStatements } from "./statements.ts";

/** As `storeRules.rememberedJobs` of core, which the thread does not load */
const rememberedJobs = 100_000;

/** Runs operations on a database; the caller holds the transaction around them. */
export interface OperationRunner {
  /** Runs the operations in order and hands over each outcome that is not `undefined`. */
  run(operations: readonly Operation[], onOutcome: (index: number, outcome: Outcome) => void): void;
}

export function operationRunner(database: DatabaseSync): OperationRunner {
  const statements = prepareStatements(database);
  const locations = jobLocations(statements);
  const tables: JobTables = { statements, locations };

  function mismatch(jobId: string): Mismatch {
    return { actual: statements.getFence.get(jobId) as Mismatch["actual"] };
  }

  function step(operation: StepOperation): boolean {
    const [, jobId, owner, attempt, from, to, startedAtMs, nextSequence] = operation;
    const { step: update } = statements;
    const found = locations.change(jobId, (seq) =>
      Number(update.run(to, startedAtMs, nextSequence, seq, jobId, owner, attempt, from).changes),
    );
    return found !== undefined;
  }

  function finish(operation: FinishOperation): Mismatch | undefined {
    const [, jobId, owner, attempt, from, to, finishedAtMs, nextSequence] = operation;
    const [, , , , , , , , result, keyExpiresAtMs, event] = operation;
    const { finish: update } = statements;
    const found = locations.change(jobId, (seq) =>
      Number(update.run(to, finishedAtMs, nextSequence, seq, jobId, owner, attempt, from).changes),
    );
    if (found === undefined) return mismatch(jobId);
    locations.forget(jobId);
    statements.insertResult.run(found.seq, result);
    if (event !== null) keepEvent(statements, event);
    if (found.scope === null) return undefined;
    if (keyExpiresAtMs === null) statements.deleteKey.run(found.scope, jobId);
    else statements.expireKey.run(keyExpiresAtMs, found.scope, jobId);
    return undefined;
  }

  function recover([, owner, now, leaseExpiresAt, jobId]: RecoverOperation): readonly JobRow[] {
    if (jobId === null) {
      statements.takeOver.run({ owner, now, leaseExpiresAt });
      return statements.takenOver.all({ owner }) as unknown as readonly JobRow[];
    }
    statements.takeOverJob.run({ owner, now, leaseExpiresAt, jobId });
    return statements.takenOverJob.all({ owner, jobId }) as unknown as readonly JobRow[];
  }

  function prune(finishedBeforeMs: number, limit: number): number {
    const rows = statements.pruneJobs.all(finishedBeforeMs, limit);
    for (const { seq = null, job_id: jobId = null } of rows) {
      statements.deleteDocument.run(seq);
      statements.deleteResult.run(seq);
      statements.deleteEvents.run(seq);
      statements.rememberJob.run(jobId);
    }
    if (rows.length > 0) statements.forgetJobs.run(rememberedJobs);
    return rows.length;
  }

  function runOne(operation: Operation): Outcome {
    switch (operation[0]) {
      case "insert":
        return insertJob(tables, operation);
      case "step":
        return step(operation) ? undefined : mismatch(operation[1]);
      case "patch": {
        const [, jobId, owner, attempt, from, values] = operation;
        const found = locations.change(jobId, (seq) =>
          Number(statements.patch.run(...values, seq, jobId, owner, attempt, from).changes),
        );
        return found === undefined ? mismatch(jobId) : undefined;
      }
      case "finish":
        return finish(operation);
      case "checkpoint": {
        const [, jobId, owner, attempt, value] = operation;
        const found = locations.change(jobId, (seq) =>
          Number(statements.saveCheckpoint.run(value, seq, jobId, owner, attempt).changes),
        );
        return found === undefined ? mismatch(jobId) : undefined;
      }
      case "recover":
        return recover(operation);
      case "renew":
        statements.renewLeases.run(operation[2], operation[1]);
        return undefined;
      case "prune":
        return prune(operation[1], operation[2]);
      case "pruneKeys":
        statements.pruneKeys.run(operation[1]);
        return undefined;
      case "get":
        return statements.getJob.get(operation[1]) as JobRow | undefined;
      case "list":
        return database.prepare(operation[1]).all(...operation[2]) as unknown as readonly JobRow[];
      case "countJobs":
        return database
          .prepare(operation[1])
          .all(...operation[2]) as unknown as readonly JobCount[];
      case "wasPruned":
        return statements.wasPruned.get(operation[1]) !== undefined;
      case "event":
        return keepEvent(statements, operation);
      case "readEvents": {
        const [, jobId, afterSequence, limit] = operation;
        return statements.readEvents
          .all(jobId, afterSequence, limit)
          .map(({ event }) => String(event));
      }
      case "count":
        return statements.countByState.all() as unknown as readonly StateCount[];
      default:
        return operation satisfies never;
    }
  }

  return {
    run(operations, onOutcome) {
      for (let index = 0; index < operations.length; index += 1) {
        const operation = operations[index];
        if (operation === undefined) continue;
        const chain = joinSteps(operation, operations[index + 1]);
        if (chain !== undefined && step(chain)) {
          index += 1;
          continue;
        }
        const outcome = runOne(operation);
        if (outcome !== undefined) onOutcome(index, outcome);
      }
    },
  };
}

/**
 * Two steps of one job that follow each other, as one: `queued → assigned → running` is sent as two calls and costs one
 * update. When that one does not match, each step has to be run, and to fail, by itself.
 */
function joinSteps(first: Operation, second: Operation | undefined): StepOperation | undefined {
  if (first[0] !== "step" || second?.[0] !== "step") return undefined;
  const [, jobId, owner, attempt, from, via, startedAtMs, nextSequence] = first;
  const [, nextJobId, nextOwner, nextAttempt, nextFrom, to] = second;
  const isChain =
    jobId === nextJobId && owner === nextOwner && attempt === nextAttempt && via === nextFrom;
  if (!isChain) return undefined;
  return [
    "step",
    jobId,
    owner,
    attempt,
    from,
    to,
    second[6] ?? startedAtMs,
    second[7] ?? nextSequence,
  ];
}
