import PQueue from "p-queue";
import { turnTaker } from "./turn-taker.ts";

export interface TaskQueueOptions {
  readonly concurrency: number;
  onError(error: unknown): void;
}

/** Tasks that have a key; while one waits or runs, another of the same key is left out. */
export interface TaskQueue {
  has(key: string): boolean;
  /** Resolves when the task has ended, one way or the other. */
  add(key: string, task: () => Promise<void>): Promise<void>;
  /** Drops what waits, and waits for what runs. Tasks that come later are dropped too. */
  close(): Promise<void>;
}

/** How long tasks may keep the event loop from everything else, in milliseconds */
const sliceMs = 10;

export function taskQueue({ concurrency, onError }: TaskQueueOptions): TaskQueue {
  const queue = new PQueue({ concurrency });
  const turns = turnTaker(sliceMs);
  const keys = new Set<string>();
  let isClosed = false;
  return {
    has: (key) => keys.has(key),
    async add(key, task) {
      if (isClosed || keys.has(key)) return;
      keys.add(key);
      await queue.add(async () => {
        try {
          if (!isClosed) await turns.take();
          if (!isClosed) await task();
        } catch (error) {
          onError(error);
        } finally {
          keys.delete(key);
        }
      });
    },
    async close() {
      isClosed = true;
      await queue.onIdle();
    },
  };
}
