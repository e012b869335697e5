import {
  eventTopic,
  isLongshoreError,
  type EventBus,
  type JobEventLog,
  type JobRecord,
  type JobStore,
} from "@longshore/core";
import { changeSignal, type ChangeSignal } from "./change-signal.ts";
import { firstPage, pages, type EventPage, type EventView } from "./event-page.ts";
import { eventMessage } from "./event-stream.ts";
import { eventTail, type EventTail } from "./event-tail.ts";
import { pageCache, type PageCache } from "./page-cache.ts";
import { wakeQueue } from "./wake-queue.ts";

/** What happens to one job, for any number of readers, each at its own place. All that they read is read once. */
export interface JobFeed extends Disposable {
  /** Changes when there are more events, or when there were none for a while */
  readonly events: ChangeSignal;
  /** Changes when the record may be another one */
  readonly states: ChangeSignal;
  /** What follows a number; `undefined` when there is nothing yet. */
  page(afterSequence: number, view: EventView): Promise<EventPage | undefined>;
  /** The job's record, no older than the last event that was told; `undefined` when the job is gone. */
  record(): Promise<JobRecord | undefined>;
  /** Looks for what was not told in this process. */
  refresh(): Promise<void>;
}

/** Opens feeds; those of one job share everything. */
export interface JobFeeds {
  open(jobId: string): JobFeed;
}

export interface JobFeedsOptions {
  readonly store: Pick<JobStore, "get">;
  readonly log: JobEventLog;
  readonly bus: EventBus;
  /** How long nothing happens before the store is asked whether another process runs the job, in milliseconds */
  readonly quietMs: number;
}

/** Events of one read of the log */
const readLimit = 64;
/** Pages that the readers of all jobs share */
const maxPageBytes = 16_777_216;

interface SharedFeed extends Omit<JobFeed, typeof Symbol.dispose> {
  close(): void;
}

export function jobFeeds(options: JobFeedsOptions): JobFeeds {
  const shared = new Map<string, { readonly feed: SharedFeed; readers: number }>();
  const queue = wakeQueue();
  const cache = pageCache(maxPageBytes);
  let opened = 0;

  function openShared(jobId: string): { readonly feed: SharedFeed; readers: number } {
    opened += 1;
    // Of a job that is gone another one may get the id, and other events.
    const keys = `feed ${opened}`;
    const feed = sharedFeed(jobId, options, { cache, keys, signal: () => changeSignal(queue) });
    return { feed, readers: 0 };
  }

  return {
    open(jobId) {
      const entry = shared.get(jobId) ?? openShared(jobId);
      shared.set(jobId, entry);
      entry.readers += 1;
      let isOpen = true;
      return {
        ...entry.feed,
        [Symbol.dispose]() {
          if (!isOpen) return;
          isOpen = false;
          entry.readers -= 1;
          if (entry.readers > 0) return;
          shared.delete(jobId);
          entry.feed.close();
        },
      };
    },
  };
}

interface SharedParts {
  readonly cache: PageCache;
  /** Beginning of the feed's keys in the cache */
  readonly keys: string;
  signal(): ChangeSignal;
}

function sharedFeed(
  jobId: string,
  { store, log, bus, quietMs }: JobFeedsOptions,
  { cache, keys, signal }: SharedParts,
): SharedFeed {
  const events = signal();
  const states = signal();
  const reading = new Map<string, Promise<EventPage | undefined>>();
  let tail: EventTail | undefined;
  let known: Promise<JobRecord | undefined> | undefined;
  let isBehind = false;
  let refreshing: Promise<void> | undefined;

  const subscription = listen();
  const quiet = setTimeout(() => {
    // Another process may run the job: its changes come by the store alone.
    changeState();
    refreshForReaders();
    events.change();
    quiet.refresh();
  }, quietMs).unref();

  function listen(): AsyncDisposable | undefined {
    try {
      return bus.on(eventTopic("job", jobId, "*"), ({ data }) => {
        if (isStateEvent(data)) changeState();
        refreshForReaders();
      });
    } catch (error) {
      // A worker that has stopped tells nothing more; what is in its store can still be read.
      if (isLongshoreError(error) && error.code === "IO_ERROR") return undefined;
      throw error;
    }
  }

  function changeState(): void {
    known = undefined;
    states.change();
  }

  function refresh(): Promise<void> {
    isBehind = true;
    refreshing ??= catchUp().finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  }

  function refreshForReaders(): void {
    // Who waits for a state alone needs no events; a tail that is there must not fall behind.
    if (tail === undefined && events.waiterCount === 0) return;
    refresh().catch(() => {
      // Readers ask again, and are told what is wrong.
      tail = undefined;
      events.change();
    });
  }

  async function catchUp(): Promise<void> {
    while (isBehind) {
      isBehind = false;
      tail ??= await openTail();
      await readOn(tail);
    }
  }

  /** The latest events are where most readers are; what is before them is read when somebody needs it. */
  async function openTail(): Promise<EventTail> {
    const { nextSequence = 0 } = (await record()) ?? {};
    return eventTail(Math.max(-1, nextSequence - 1 - readLimit));
  }

  /** Only what the log has is told: a reader that comes again after a crash finds every number as it was. */
  async function readOn(to: EventTail): Promise<void> {
    for (;;) {
      const more = await log.read(jobId, { afterSequence: to.lastSequence, limit: readLimit });
      if (more.length === 0) return;
      to.add(more);
      if (more.some(({ kind }) => kind === "state")) changeState();
      quiet.refresh();
      events.change();
      if (more.length < readLimit) return;
    }
  }

  function record(): Promise<JobRecord | undefined> {
    if (known !== undefined) return known;
    const asked = store.get(jobId);
    known = asked;
    asked.catch(() => {
      if (known === asked) known = undefined;
    });
    return asked;
  }

  async function readPage(afterSequence: number, view: EventView): Promise<EventPage | undefined> {
    let after = afterSequence;
    let first: EventPage | undefined;
    const read = await log.read(jobId, { afterSequence, limit: readLimit });
    const entries = read.map((event) => ({ event, message: eventMessage(event) }));
    for (const page of pages(entries, view)) {
      cache.set(keyOf(view, after), page);
      after = page.lastSequence;
      first ??= page;
    }
    return first;
  }

  function keyOf(view: EventView, after: number): string {
    return `${keys} ${view.name} ${after}`;
  }

  /** A page is right for ever, for events never change. */
  function olderPage(after: number, view: EventView): Promise<EventPage | undefined> {
    const key = keyOf(view, after);
    const cached = cache.get(key);
    if (cached !== undefined) return Promise.resolve(cached);
    const pending = reading.get(key);
    if (pending !== undefined) return pending;
    const page = readPage(after, view).finally(() => reading.delete(key));
    reading.set(key, page);
    return page;
  }

  return {
    events,
    states,
    record,
    refresh,
    async page(after, view) {
      if (tail === undefined) await refresh();
      const entries = tail?.after(after);
      if (tail === undefined || entries === undefined) return olderPage(after, view);
      if (entries.length === 0) return undefined;
      const key = `${keyOf(view, after)} to ${tail.lastSequence}`;
      const cached = cache.get(key);
      if (cached !== undefined) return cached;
      const page = firstPage(entries, view);
      if (page !== undefined) cache.set(key, page);
      return page;
    },
    close() {
      clearTimeout(quiet);
      void subscription?.[Symbol.asyncDispose]();
    },
  };
}

function isStateEvent(data: unknown): boolean {
  return typeof data === "object" && data !== null && "kind" in data && data.kind === "state";
}
