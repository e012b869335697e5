import type { JobEntry } from "./job-entry.ts";

/** A worker that waits for a job. */
interface WaitingWorker {
  canRun(entry: JobEntry): boolean;
  /** It has the job now: the queue does not have it any more. */
  give(entry: JobEntry): void;
}

/** Jobs that wait for a worker, and workers that wait for a job: never both for each other. */
export interface JobQueue {
  /** Gives the job to the first worker that waits for one like it, or lets it wait. */
  offer(entry: JobEntry): void;
  /** Lets the job wait, whoever waits for it. */
  put(entry: JobEntry): void;
  remove(entry: JobEntry): void;
  /** The job that is the worker's turn: by priority, then by the time of its arrival. */
  take(canRun: WaitingWorker["canRun"]): JobEntry | undefined;
  /** Lets a worker wait. Disposing ends that. */
  wait(worker: WaitingWorker): Disposable;
}

const highestPriority = 10;
/** A job that has waited so long counts for one priority more, so that none waits for ever */
const agingMs = 60_000;

export function jobQueue(now: () => number): JobQueue {
  /** In the order of arrival, by priority */
  const levels = Array.from({ length: highestPriority + 1 }, () => new Map<string, JobEntry>());
  const workers = new Set<WaitingWorker>();

  function levelOf({ placement }: JobEntry): Map<string, JobEntry> | undefined {
    return levels[placement.execution.priority];
  }

  function put(entry: JobEntry): void {
    levelOf(entry)?.set(entry.jobId, entry);
  }

  return {
    put,
    offer(entry) {
      for (const worker of workers) {
        if (!worker.canRun(entry)) continue;
        workers.delete(worker);
        worker.give(entry);
        return;
      }
      put(entry);
    },
    remove(entry) {
      levelOf(entry)?.delete(entry.jobId);
    },
    take(canRun) {
      const nowMs = now();
      let best: JobEntry | undefined;
      let bestRank = -1;
      for (const level of levels.toReversed()) {
        for (const entry of level.values()) {
          if (!canRun(entry)) continue;
          const { execution } = entry.placement;
          const rank =
            execution.priority + Math.max(0, Math.floor((nowMs - entry.waitsSinceMs) / agingMs));
          if (rank > bestRank) {
            best = entry;
            bestRank = rank;
          }
          break;
        }
      }
      if (best !== undefined) levelOf(best)?.delete(best.jobId);
      return best;
    },
    wait(worker) {
      workers.add(worker);
      return {
        [Symbol.dispose]() {
          workers.delete(worker);
        },
      };
    },
  };
}
