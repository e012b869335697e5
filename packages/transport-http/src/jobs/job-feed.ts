import {
  eventTopic,
  LongshoreError,
  type EventBus,
  type JobEvent,
  type JobEventLog,
} from "@longshore/core";

/** What happens to one job, for any number of readers, each at its own place. */
export interface JobFeed extends Disposable {
  /**
   * Events after a number, oldest first, at most one page; none when there are none yet. What readers share knows only
   * what was told in this process; the log also knows what others have written.
   */
  read(afterSequence: number, from: "shared" | "log"): Promise<readonly JobEvent[]>;
  /**
   * What `wait` waits on from now: to be taken before a read, so that nothing which comes in between is slept through.
   */
  mark(): number;
  /** Resolves when something has happened since the mark, when the time is up, or when the signal aborts. */
  wait(
    mark: number,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<void>;
}

/** Opens feeds; those of one job share a subscription and the events that came last. */
export interface JobFeeds {
  open(jobId: string): JobFeed;
}

export interface JobFeedsOptions {
  readonly log: JobEventLog;
  readonly bus: EventBus;
}

/** Latest events that the readers of a job share; who is further behind reads the log */
const sharedEvents = 256;
const pageSize = 256;

interface Shared {
  readonly subscription: AsyncDisposable;
  readonly waiters: Set<() => void>;
  readers: number;
  version: number;
  /** Latest events, without a gap that the log has not */
  tail: readonly JobEvent[];
  /** Number up to which `tail` reaches back: it holds every event after it */
  tailAfter: number | undefined;
}

export function jobFeeds({ log, bus }: JobFeedsOptions): JobFeeds {
  const byJob = new Map<string, Shared>();

  function join(jobId: string): Shared {
    const known = byJob.get(jobId);
    if (known !== undefined) return known;
    const shared: Shared = {
      // An event is only a hint that there is something to read: one that is dropped has others behind it.
      subscription: bus.on(eventTopic("job", jobId, "*"), ({ data }) => fetch(jobId, data), {
        queueCapacity: 4,
      }),
      waiters: new Set(),
      readers: 0,
      version: 0,
      tail: [],
      tailAfter: undefined,
    };
    byJob.set(jobId, shared);
    return shared;
  }

  /** Reads what is new once for all, and wakes them. */
  async function fetch(jobId: string, hint: unknown): Promise<void> {
    const shared = byJob.get(jobId);
    if (shared === undefined) return;
    try {
      shared.tailAfter ??= sequenceOf(hint) - 1;
      for (;;) {
        const after = shared.tail.at(-1)?.sequence ?? shared.tailAfter;
        const events = await log.read(jobId, { afterSequence: after, limit: pageSize });
        const all = [...shared.tail, ...events];
        const dropped = all.at(-sharedEvents - 1);
        shared.tail = all.slice(-sharedEvents);
        shared.tailAfter = dropped?.sequence ?? shared.tailAfter;
        if (events.length < pageSize) break;
      }
    } finally {
      shared.version += 1;
      const waiting = [...shared.waiters];
      shared.waiters.clear();
      for (const wake of waiting) wake();
    }
  }

  return {
    open(jobId) {
      const shared = join(jobId);
      shared.readers += 1;
      let isOpen = true;
      return {
        mark: () => shared.version,
        async read(afterSequence, from) {
          if (
            from === "shared" &&
            shared.tailAfter !== undefined &&
            shared.tailAfter <= afterSequence
          ) {
            return shared.tail.filter(({ sequence }) => sequence > afterSequence);
          }
          return log.read(jobId, { afterSequence, limit: pageSize });
        },
        wait(mark, { timeoutMs, signal }) {
          if (shared.version !== mark || signal.aborted) return Promise.resolve();
          return new Promise((resolve) => {
            const wake = (): void => {
              clearTimeout(timer);
              shared.waiters.delete(wake);
              signal.removeEventListener("abort", wake);
              resolve();
            };
            const timer = setTimeout(wake, timeoutMs);
            shared.waiters.add(wake);
            signal.addEventListener("abort", wake, { once: true });
          });
        },
        [Symbol.dispose]() {
          if (!isOpen) return;
          isOpen = false;
          shared.readers -= 1;
          if (shared.readers > 0) return;
          byJob.delete(jobId);
          void shared.subscription[Symbol.asyncDispose]();
        },
      };
    },
  };
}

function sequenceOf(event: unknown): number {
  if (typeof event === "object" && event !== null && "sequence" in event) {
    const { sequence } = event;
    if (typeof sequence === "number") return sequence;
  }
  throw new LongshoreError("INTERNAL_ERROR", "An event of a job has no number.");
}
