import type { CancelNotice, Delivery, PollAnswer, PollRequest } from "../polling/messages.ts";
import type { JobBook } from "./job-book.ts";
import { isLastAttempt, type JobEntry } from "./job-entry.ts";
import type { JobQueue } from "./job-queue.ts";
import type { Leasing } from "./leasing.ts";
import { canWorkerRun, type WorkerSession, type WorkerSessions } from "./worker-sessions.ts";

export interface PollsOptions {
  readonly book: JobBook;
  readonly queue: JobQueue;
  readonly leasing: Leasing;
  readonly sessions: WorkerSessions;
}

/** Answers the polls of workers: at once when there is something to tell, else when there is, or the time is up. */
export interface Polls {
  poll(session: WorkerSession, request: PollRequest, signal: AbortSignal): Promise<PollAnswer>;
  /** Tells the worker of a job that is to end, if it waits. */
  noteCancel(entry: JobEntry): void;
}

/** Bytes of documents in one answer, but for the last one */
const maxAnswerBytes = 4_194_304;
/** Cancels in one answer; the next poll brings more */
const maxCancels = 1_000;

export function polls({ book, queue, leasing, sessions }: PollsOptions): Polls {
  let cancelNumber = 0;

  function canRun(session: WorkerSession, entry: JobEntry): boolean {
    const { lease, placement } = entry;
    // A worker that has lost sight of its own job finds it among its leases; another one needs an attempt.
    if (lease?.workerId === session.workerId) return false;
    if (lease !== undefined && isLastAttempt(entry)) return false;
    const isRunning = (jobId: string): boolean =>
      book.get(jobId)?.lease?.workerId === session.workerId;
    return canWorkerRun(session, placement, isRunning);
  }

  /** Leases jobs that wait, as many as the worker takes. */
  async function claim(
    session: WorkerSession,
    max: number,
    first: JobEntry | undefined,
  ): Promise<Delivery[]> {
    const entries: JobEntry[] = first === undefined ? [] : [first];
    let bytes = first?.documentBytes ?? 0;
    while (bytes < maxAnswerBytes) {
      const entry = takeNext(session, max - entries.length);
      if (entry === undefined) break;
      entries.push(entry);
      bytes += entry.documentBytes;
    }
    // Together they cost the store one commit.
    const outcomes = await Promise.allSettled(
      entries.map((entry) => leasing.lease(entry, session)),
    );
    const taken = outcomes.flatMap((outcome) =>
      outcome.status === "fulfilled" && outcome.value !== undefined ? [outcome.value] : [],
    );
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    // What was leased is to arrive; the next poll meets the same trouble, or none.
    if (taken.length === 0 && failed !== undefined) throw failed.reason;
    return taken;
  }

  function takeNext(session: WorkerSession, room: number): JobEntry | undefined {
    return room > 0 ? queue.take((entry) => canRun(session, entry)) : undefined;
  }

  /** Resolves with a job that has come for the worker, or with nothing when something else is to be told. */
  async function wait(
    session: WorkerSession,
    { max_leases: max, wait_ms: waitMs }: PollRequest,
    signal: AbortSignal,
  ): Promise<JobEntry | undefined> {
    // Nothing may come between this look and the wait.
    const ready = takeNext(session, max);
    if (ready !== undefined || signal.aborted) return ready;
    const { promise, resolve } = Promise.withResolvers<JobEntry | undefined>();
    const waiting =
      max > 0
        ? queue.wait({ canRun: (entry) => canRun(session, entry), give: resolve })
        : undefined;
    const end = (): void => {
      waiting?.[Symbol.dispose]();
      resolve(undefined);
    };
    const timer = setTimeout(end, waitMs);
    session.endPoll = end;
    signal.addEventListener("abort", end, { once: true });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      if (session.endPoll === end) session.endPoll = undefined;
    }
  }

  /** Cancels of the worker's jobs that it was not told of before the cursor, and the cursor behind them. */
  function cancelsFor(
    session: WorkerSession,
    cursor: string | undefined,
  ): Pick<PollAnswer, "cancels" | "cancel_cursor"> {
    const prefix = `${sessions.epoch}.`;
    const known = cursor?.startsWith(prefix) === true ? Number(cursor.slice(prefix.length)) : 0;
    const news = book
      .leasedBy(session.workerId)
      .filter((entry) => entry.cancelNumber > known)
      .toSorted((a, b) => a.cancelNumber - b.cancelNumber);
    const told = news.slice(0, maxCancels);
    const last = told.length < news.length ? told.at(-1)?.cancelNumber : undefined;
    return { cancels: told.map(toNotice), cancel_cursor: `${prefix}${last ?? cancelNumber}` };
  }

  async function giveBack(deliveries: readonly Delivery[]): Promise<void> {
    await Promise.all(deliveries.map(({ lease_id }) => leasing.release(lease_id)));
  }

  return {
    async poll(session, request, signal) {
      // One poll of a worker waits at a time.
      session.endPoll?.();
      session.pollNumber += 1;
      const { pollNumber } = session;
      const { max_leases: max, cancel_cursor: cursor } = request;
      let leases = await claim(session, max, undefined);
      let news = cancelsFor(session, cursor);
      const isLast = pollNumber === session.pollNumber;
      if (leases.length === 0 && news.cancels.length === 0 && isLast) {
        const entry = await wait(session, request, signal);
        if (entry !== undefined) leases = await claim(session, max, entry);
        news = cancelsFor(session, cursor);
      }
      sessions.note(session.workerId);
      if (signal.aborted && leases.length > 0) {
        // Whoever asked is gone: the jobs need not wait until the leases run out.
        await giveBack(leases);
        leases = [];
      }
      return { leases, ...news };
    },
    noteCancel(entry) {
      cancelNumber += 1;
      entry.cancelNumber = cancelNumber;
      const workerId = entry.lease?.workerId;
      if (workerId !== undefined) sessions.find(workerId)?.endPoll?.();
    },
  };
}

function toNotice({ jobId, lease, cancelReason: reason }: JobEntry): CancelNotice {
  return {
    job_id: jobId,
    lease_id: lease?.leaseId ?? "",
    ...(reason !== undefined && { reason: reason.slice(0, 1_000) }),
  };
}
