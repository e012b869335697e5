import { IndexedHeap, type HeapNode } from "./indexed-heap.ts";
import { setLongTimeout } from "./long-timeout.ts";

/** A job that waits for its turn. Times are milliseconds since 1970. */
export interface QueueEntry {
  readonly jobId: string;
  /** 1 (last) to 10 (first) */
  readonly priority: number;
  readonly acceptedAtMs: number;
  /** Not to be started before */
  readonly notBeforeMs?: number | undefined;
  /** When it has waited too long */
  readonly expiresAtMs: number;
}

export interface SchedulerOptions {
  /** Jobs that run at the same time */
  readonly maxConcurrentJobs: number;
  /** Waiting time that counts as one more priority. @default 60_000 */
  readonly agingMs?: number | undefined;
  /**
   * Runs a job; must not reject. Its slot is free when `freeSlot` was called, and when the promise resolves at the latest. An
   * entry it resolves with waits again.
   */
  run(jobId: string, freeSlot: () => void): Promise<QueueEntry | undefined>;
  /** A job's time in the queue is over; it is not in the queue any more. */
  expire(jobId: string): void;
  readonly now?: (() => number) | undefined;
}

/**
 * Decides which job is next: higher priority first, then the one accepted earlier.
 *
 * Waiting raises a job by one priority each `agingMs`, so that a low priority is late but never starves. Because all
 * jobs age alike, their order never changes while they wait, and is one number: `acceptedAt - priority * agingMs`.
 */
export interface Scheduler {
  /** @throws {RangeError} when the job waits or runs already: one id is never started twice */
  enqueue(entry: QueueEntry): void;
  /** Takes a waiting job out; false when it does not wait. */
  remove(jobId: string): boolean;
  /** Starts nothing further. Waiting jobs still expire. */
  pause(): void;
  /** Takes out every waiting job and stops the clock. */
  clear(): readonly string[];
  readonly waitingCount: number;
  /** Never more than may; jobs whose end is only being written do not count */
  readonly runningCount: number;
  /** Resolves when no job runs. */
  idle(): Promise<void>;
}

interface Waiting {
  readonly entry: QueueEntry;
  readonly rank: number;
  readonly order: number;
  /** Its place among those whose turn can come, or those whose time has not come */
  place: HeapNode<Waiting> | undefined;
  isDelayed: boolean;
  expiry: HeapNode<Waiting> | undefined;
}

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { maxConcurrentJobs, agingMs = 60_000, run, expire, now = Date.now } = options;
  if (!Number.isSafeInteger(maxConcurrentJobs) || maxConcurrentJobs < 1) {
    throw new RangeError(`maxConcurrentJobs must be 1 or more, got ${maxConcurrentJobs}`);
  }
  const ready = new IndexedHeap<Waiting>(
    (a, b) => a.rank < b.rank || (a.rank === b.rank && a.order < b.order),
  );
  const delayed = new IndexedHeap<Waiting>((a, b) => startsAt(a) < startsAt(b));
  const expiring = new IndexedHeap<Waiting>((a, b) => a.entry.expiresAtMs < b.entry.expiresAtMs);
  const waiting = new Map<string, Waiting>();
  const running = new Set<string>();
  let usedSlots = 0;
  let idleWaiters: (() => void)[] = [];
  let order = 0;
  let isPaused = false;
  let timer: { readonly stop: () => void; readonly atMs: number } | undefined;

  function start(jobId: string): void {
    running.add(jobId);
    usedSlots += 1;
    let hasSlot = true;
    const freeSlot = (): void => {
      if (!hasSlot) return;
      hasSlot = false;
      usedSlots -= 1;
      pump();
    };
    void run(jobId, freeSlot).then((again) => {
      running.delete(jobId);
      if (again !== undefined) wait(again);
      if (hasSlot) freeSlot();
      else pump();
      if (running.size > 0) return;
      const waiters = idleWaiters;
      idleWaiters = [];
      for (const resolve of waiters) resolve();
    });
  }

  function wait(entry: QueueEntry): void {
    const job: Waiting = {
      entry,
      rank: entry.acceptedAtMs - entry.priority * agingMs,
      order: order++,
      place: undefined,
      isDelayed: (entry.notBeforeMs ?? 0) > now(),
      expiry: undefined,
    };
    job.place = (job.isDelayed ? delayed : ready).push(job);
    job.expiry = expiring.push(job);
    waiting.set(entry.jobId, job);
  }

  function takeOut(job: Waiting): void {
    waiting.delete(job.entry.jobId);
    if (job.place !== undefined) (job.isDelayed ? delayed : ready).remove(job.place);
    if (job.expiry !== undefined) expiring.remove(job.expiry);
  }

  function pump(): void {
    const timeMs = now();
    for (let job = expiring.peek(); job !== undefined; job = expiring.peek()) {
      if (job.entry.expiresAtMs > timeMs) break;
      takeOut(job);
      expire(job.entry.jobId);
    }
    for (let job = delayed.peek(); job !== undefined; job = delayed.peek()) {
      if (startsAt(job) > timeMs) break;
      delayed.pop();
      job.isDelayed = false;
      job.place = ready.push(job);
    }
    while (usedSlots < maxConcurrentJobs) {
      const job = ready.peek();
      if (job === undefined || isPaused) break;
      takeOut(job);
      start(job.entry.jobId);
    }
    wakeUpInTime(timeMs);
  }

  function wakeUpInTime(timeMs: number): void {
    const first = delayed.peek();
    const atMs = Math.min(
      first === undefined ? Infinity : startsAt(first),
      expiring.peek()?.entry.expiresAtMs ?? Infinity,
    );
    if (timer !== undefined && timer.atMs <= atMs && atMs !== Infinity) return;
    timer?.stop();
    timer = undefined;
    if (atMs === Infinity) return;
    const stop = setLongTimeout(
      () => {
        timer = undefined;
        pump();
      },
      Math.max(atMs - timeMs, 1),
    );
    timer = { stop, atMs };
  }

  return {
    get waitingCount() {
      return waiting.size;
    },
    get runningCount() {
      return usedSlots;
    },
    enqueue(entry) {
      const { jobId } = entry;
      if (waiting.has(jobId) || running.has(jobId)) {
        throw new RangeError(`job ${jobId} is in the queue already`);
      }
      const isDue = (entry.notBeforeMs ?? 0) <= now();
      if (isDue && !isPaused && usedSlots < maxConcurrentJobs && ready.size === 0) {
        start(jobId);
        return;
      }
      wait(entry);
      pump();
    },
    remove(jobId) {
      const job = waiting.get(jobId);
      if (job === undefined) return false;
      takeOut(job);
      return true;
    },
    pause() {
      isPaused = true;
    },
    clear() {
      isPaused = true;
      const jobIds = [...waiting.keys()];
      for (const job of waiting.values()) takeOut(job);
      timer?.stop();
      timer = undefined;
      return jobIds;
    },
    idle() {
      if (running.size === 0) return Promise.resolve();
      return new Promise((resolve) => idleWaiters.push(resolve));
    },
  };
}

function startsAt(job: Waiting): number {
  return job.entry.notBeforeMs ?? 0;
}
