import { setImmediate as nextTurn } from "node:timers/promises";
import PQueue from "p-queue";

/** Why a chunk is fetched: a reader waits for it, a reader may soon, or nobody does yet. The first goes first. */
export type FetchReason = "demand" | "readahead" | "background";

/** All reasons, the most urgent first. */
export const fetchReasons: readonly FetchReason[] = ["demand", "readahead", "background"];

export interface FetchQueueOptions {
  /** Requests under way at once. @default 6 */
  readonly concurrency?: number | undefined;
  /** Of those, requests that nobody waits for; the rest is kept free for readers. @default 2 */
  readonly backgroundConcurrency?: number | undefined;
}

/** Gives out turns to make a request. Several blobs of one image share one. */
export interface FetchQueue {
  /** Requests that nobody waits for, at most */
  readonly backgroundConcurrency: number;
  /** Runs the task when its turn comes; never before the caller has gone on. The task must not fail. */
  add(reason: FetchReason, task: () => Promise<void>): void;
}

/** @throws {RangeError} for numbers below 1 */
export function fetchQueue(options: FetchQueueOptions = {}): FetchQueue {
  const { concurrency = 6 } = options;
  const backgroundConcurrency = Math.min(options.backgroundConcurrency ?? 2, concurrency);
  for (const [name, value] of Object.entries({ concurrency, backgroundConcurrency })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`${name} must be a whole number of 1 or more, got ${value}`);
    }
  }
  const turns = new PQueue({ concurrency });
  // Waits before the turns, so that it never takes the last of them.
  const gate = new PQueue({ concurrency: backgroundConcurrency });

  function turn(reason: FetchReason, task: () => Promise<void>): Promise<void> {
    const priority = fetchReasons.length - fetchReasons.indexOf(reason);
    return turns.add(
      async () => {
        // What is asked for in the same turn of the event loop can share the request.
        await nextTurn();
        await task();
      },
      { priority },
    );
  }

  return {
    backgroundConcurrency,
    add(reason, task) {
      const done =
        reason === "background" ? gate.add(() => turn(reason, task)) : turn(reason, task);
      // Nobody is there to be told of a defect here; the task reports what can go wrong itself.
      void done.catch(() => undefined);
    },
  };
}
