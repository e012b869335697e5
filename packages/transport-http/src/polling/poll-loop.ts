import {
  encodeCapabilities,
  isLongshoreError,
  LongshoreError,
  type LeaseSink,
  type TransportHealth,
} from "@longshore/core";
import type { AnswerSpool } from "./answer-spool.ts";
import type { Backoff } from "./backoff.ts";
import type { HeldLease, HeldLeases } from "./held-leases.ts";
import type { MasterCall } from "./master-call.ts";
import {
  leasePage,
  maxLeasesAtOnce,
  pollAnswer,
  registered,
  type Delivery,
  type PollAnswer,
} from "./messages.ts";
import type { Outbox } from "./outbox.ts";
import type { ResolvedPollingOptions } from "./polling-options.ts";
import { isRefusedForGood, isUnwelcome, retryAfterOf, statusOf } from "./refusal.ts";

export interface PollLoopOptions {
  readonly options: ResolvedPollingOptions;
  readonly call: MasterCall;
  readonly sink: LeaseSink;
  readonly workerId: string;
  readonly spool: AnswerSpool;
  readonly outbox: Outbox;
  readonly held: HeldLeases;
  readonly backoff: Backoff;
}

/** One worker's conversation with its master: who it is, what it takes, what is to end. */
export interface PollLoop extends AsyncDisposable {
  /** Resolves once the master knows the worker and everything it still held was delivered again. */
  start(signal: AbortSignal | undefined): Promise<void>;
  /** Takes no more jobs; cancels still come. Resolves when no delivery is under way. Idempotent. */
  pause(): Promise<void>;
  /** What keeps the worker from its master; `undefined` while all is well */
  readonly problem: TransportHealth | undefined;
  readonly maxResultBytes: number;
}

/** What a master that does not say takes */
const defaultMaxResultBytes = 1_048_576;
/** Time that a master gets to end a poll when the worker pauses, and to take note that it leaves */
const farewellMs = 2_000;
/** Pages of leases that are asked for: more than any worker holds */
const maxPages = 10_000;

export function pollLoop(loopOptions: PollLoopOptions): PollLoop {
  const { options, call, sink, workerId, spool, outbox, held, backoff } = loopOptions;
  const { prefetch, waitMs, subject, logger } = options;
  const path = `/workers/${encodeURIComponent(workerId)}`;
  const closing = new AbortController();
  const deliveries = new Set<Promise<void>>();
  /** Polls under way that may bring jobs */
  const takingPolls = new Set<Promise<unknown>>();
  /** Ends those when the master does not */
  let taking = new AbortController();
  let isPaused = false;
  let isLeaving = false;
  let isRegistered = false;
  let replaces = spool.previousInstanceId;
  let cancelCursor: string | undefined;
  let maxResultBytes = defaultMaxResultBytes;
  let problem: TransportHealth | undefined;
  let running: Promise<void> | undefined;
  /** Ends the wait for the poll that is under way */
  let wake = (): void => {};

  /** Jobs that the worker can take now. */
  function room(): number {
    return isPaused || spool.isFull ? 0 : prefetch - deliveries.size;
  }

  async function register(signal: AbortSignal): Promise<void> {
    const { pool, labels, taints, capabilities } = options.worker;
    const answer = await call("/workers", {
      method: "POST",
      body: {
        worker_id: workerId,
        instance_id: spool.instanceId,
        ...(replaces !== undefined && { replaces }),
        lease_ms: options.leaseMs,
        ...(pool !== undefined && { pool }),
        ...(labels !== undefined && { labels }),
        ...(taints !== undefined && { taints }),
        ...(capabilities !== undefined && { capabilities: encodeCapabilities(capabilities) }),
      },
      answer: registered,
      signal,
    });
    maxResultBytes = answer.max_result_bytes;
    replaces = undefined;
    // Cancels of another process of the master have other numbers.
    cancelCursor = undefined;
  }

  /** Brings in what the master says is this worker's, and lets go of what is not. */
  async function agree(signal: AbortSignal): Promise<void> {
    const before = new Set(held.ids);
    const alive = new Set<string>();
    let cursor: string | undefined;
    for (let page = 0; page < maxPages; page += 1) {
      const query = new URLSearchParams({ instance_id: spool.instanceId });
      if (cursor !== undefined) query.set("cursor", cursor);
      const answer = await call(`${path}/leases?${query.toString()}`, {
        method: "GET",
        answer: leasePage,
        signal,
      });
      for (const { lease_id } of answer.leases) alive.add(lease_id);
      for (const delivery of answer.leases) begin(delivery);
      cursor = answer.next_cursor;
      if (cursor === undefined) break;
    }
    for (const leaseId of before) {
      if (alive.has(leaseId) || !held.has(leaseId)) continue;
      held.forget(leaseId);
      sink.lost(leaseId);
    }
  }

  /** Tells the master who polls, and agrees with it on what the worker has. */
  async function join(signal: AbortSignal): Promise<void> {
    await register(signal);
    isRegistered = true;
    await agree(signal);
  }

  function begin(delivery: Delivery): void {
    const { lease_id: leaseId, job_id: jobId } = delivery;
    // An answer that is on its way needs no other one.
    if (held.has(leaseId) || held.wasAnswered(leaseId) || outbox.has(leaseId)) return;
    const delivering = deliver(delivery, held.add(leaseId, jobId))
      .catch((error: unknown) => {
        logger.error({ leaseId, err: error }, "delivery failed");
        held.forget(leaseId);
      })
      .finally(() => {
        const wasFull = room() === 0;
        deliveries.delete(delivering);
        if (wasFull && room() > 0) wake();
      });
    deliveries.add(delivering);
  }

  async function deliver({ attempt, document }: Delivery, lease: HeldLease): Promise<void> {
    await sink.deliver({
      leaseId: lease.leaseId,
      name: lease.jobId,
      attempt,
      body: Buffer.from(JSON.stringify(document)),
      contentType: "application/json",
      subject,
    });
    lease.isTaken = true;
    passOnCancel(lease);
  }

  function passOnCancel({ leaseId, jobId, isTaken, cancel }: HeldLease): void {
    if (cancel === undefined || !isTaken || !held.has(leaseId)) return;
    const { reason } = cancel;
    sink.cancel({ jobId, ...(reason !== undefined && { reason }) });
  }

  function take(answer: PollAnswer, asked: number): void {
    if (answer.leases.length > asked) {
      throw new LongshoreError(
        "TRANSPORT_ERROR",
        `The master sent ${answer.leases.length} jobs when it was asked for ${asked}.`,
      );
    }
    for (const delivery of answer.leases) begin(delivery);
    for (const { lease_id, job_id, reason } of answer.cancels) {
      const lease = held.find(lease_id);
      // Only what came from this master is the master's to end.
      if (lease?.jobId !== job_id) continue;
      lease.cancel = { reason };
      passOnCancel(lease);
    }
    cancelCursor = answer.cancel_cursor;
  }

  async function poll(): Promise<void> {
    const asked = Math.min(room(), maxLeasesAtOnce);
    const startedAtMs = performance.now();
    const asking = call(`${path}/poll`, {
      method: "POST",
      body: {
        instance_id: spool.instanceId,
        max_leases: asked,
        wait_ms: waitMs,
        ...(cancelCursor !== undefined && { cancel_cursor: cancelCursor }),
      },
      answer: pollAnswer,
      holdMs: waitMs,
      signal: (asked === 0 ? closing : taking).signal,
    }).then((answer) => {
      take(answer, asked);
      return answer;
    });
    if (asked > 0) {
      takingPolls.add(asking);
      asking
        .catch(() => undefined)
        .finally(() => takingPolls.delete(asking))
        .catch(() => undefined);
    }
    // Of this poll alone: what outlives a race keeps all that was raced against it.
    const { promise: otherwise, resolve } = Promise.withResolvers<undefined>();
    wake = () => {
      resolve(undefined);
    };
    const answer = await Promise.race([asking, otherwise]);
    if (answer === undefined) {
      // The next poll ends this one at the master; what it brings is taken as it comes.
      asking.catch((error: unknown) => {
        if (!closing.signal.aborted) logger.warn({ err: error }, "poll broke off");
        isRegistered = false;
      });
      return;
    }
    const isIdle = answer.leases.length === 0 && answer.cancels.length === 0;
    if (isLeaving) return;
    if (isIdle && performance.now() - startedAtMs < waitMs / 2) {
      // A master that holds nothing back is not to be asked without end.
      await options.sleep(backoff.next(), closing.signal);
    } else backoff.reset();
  }

  async function run(): Promise<void> {
    for (;;) {
      if (isLeaving) return;
      try {
        if (!isRegistered) await join(closing.signal);
        if (problem !== undefined) {
          problem = undefined;
          logger.info({ url: options.url }, "master can be reached again");
          outbox.nudge();
        }
        await poll();
      } catch (error) {
        if (isLeaving) return;
        await recover(error);
      }
    }
  }

  async function recover(error: unknown): Promise<void> {
    isRegistered = false;
    outbox.noteUnreachable();
    const status = isUnwelcome(error) || statusOf(error) === 409 ? "unhealthy" : "degraded";
    const message = error instanceof Error ? error.message : String(error);
    const isNews = problem?.message !== message;
    problem = { status, message };
    const pauseMs = backoff.next(retryAfterOf(error));
    const fields = { url: options.url, err: error, waitMs: pauseMs };
    if (isNews) logger.warn(fields, "master cannot be polled");
    else logger.debug(fields, "master still cannot be polled");
    await options.sleep(pauseMs, closing.signal);
  }

  /** What no wait will change. */
  function isHopeless(error: unknown): boolean {
    const status = statusOf(error);
    return (
      isUnwelcome(error) ||
      isRefusedForGood(error) ||
      status === 404 ||
      status === 405 ||
      isLongshoreError(error, "WORKER_ID_IN_USE")
    );
  }

  async function leave(): Promise<void> {
    if (!isRegistered) return;
    const query = new URLSearchParams({ instance_id: spool.instanceId });
    await call(`${path}?${query.toString()}`, {
      method: "DELETE",
      signal: AbortSignal.timeout(farewellMs),
    }).catch((error: unknown) => {
      logger.debug({ err: error }, "master was not told that the worker leaves");
    });
  }

  return {
    get problem() {
      return problem;
    },
    get maxResultBytes() {
      return maxResultBytes;
    },
    async start(signal) {
      const starting =
        signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]);
      outbox.start();
      for (;;) {
        try {
          await join(starting);
          await Promise.all(deliveries);
          break;
        } catch (error) {
          starting.throwIfAborted();
          if (isHopeless(error)) throw error;
          const pauseMs = backoff.next(retryAfterOf(error));
          logger.warn(
            { url: options.url, err: error, waitMs: pauseMs },
            "waiting for the master to start",
          );
          await options.sleep(pauseMs, starting);
          starting.throwIfAborted();
        }
      }
      backoff.reset();
      outbox.nudge();
      running = run();
    },
    async pause() {
      if (!isPaused) {
        isPaused = true;
        wake();
      }
      const timer = setTimeout(() => {
        taking.abort();
      }, farewellMs);
      await Promise.allSettled(takingPolls);
      clearTimeout(timer);
      if (!closing.signal.aborted) taking = new AbortController();
      await Promise.allSettled(deliveries);
    },
    async [Symbol.asyncDispose]() {
      isPaused = true;
      isLeaving = true;
      // The master ends the poll that waits: to break it off would cost a connection.
      await leave();
      closing.abort();
      taking.abort();
      wake();
      await running;
    },
  };
}
