import { LongshoreError, type Logger } from "@longshore/core";
import type { Answer, AnswerSpool } from "./answer-spool.ts";
import type { Backoff } from "./backoff.ts";
import type { MasterCall } from "./master-call.ts";
import { settled } from "./messages.ts";
import { isLeaseGone, isRefusedForGood, retryAfterOf } from "./refusal.ts";
import type { Sleep } from "./sleep.ts";

export interface OutboxOptions {
  readonly spool: AnswerSpool;
  readonly call: MasterCall;
  readonly backoff: Backoff;
  readonly sleep: Sleep;
  readonly logger: Logger;
}

/** Brings answers to the master, however long that takes. Disposing stops; what waits stays on the disk. */
export interface Outbox extends AsyncDisposable {
  /** Begins with what an earlier process left. */
  start(): void;
  /** Whether a lease's answer waits */
  has(leaseId: string): boolean;
  readonly waitingCount: number;
  /**
   * Resolves once the master has the answer, or, while it cannot be reached, once the answer is on the disk.
   *
   * @throws {LongshoreError} `LEASE_LOST` when the master does not want it, `TRANSPORT_ERROR` when it is neither at the
   *   master nor on the disk
   */
  send(answer: Answer): Promise<void>;
  /** The master answers: whatever waits is tried at once. */
  nudge(): void;
  /** The master does not answer: until it does, answers go to the disk alone. */
  noteUnreachable(): void;
}

export function outbox(options: OutboxOptions): Outbox {
  const { spool, call, backoff, logger } = options;
  const closing = new AbortController();
  /** Answers that nobody waits for any more */
  const waiting = new Set<string>();
  let isReachable = true;
  let running: Promise<void> | undefined;
  let rest = new AbortController();

  async function deliver({ leaseId, kind, body }: Answer): Promise<void> {
    await call(`/leases/${encodeURIComponent(leaseId)}/${kind}`, {
      method: "POST",
      body,
      answer: settled,
      signal: closing.signal,
    });
    isReachable = true;
    backoff.reset();
  }

  /** Brings one answer to its end, or throws when it has to be tried again. */
  async function settle(answer: Answer): Promise<"taken" | "unwanted"> {
    const { leaseId } = answer;
    try {
      await deliver(answer);
    } catch (error) {
      if (isLeaseGone(error)) {
        logger.warn({ leaseId, err: error }, "answer came too late; lease is lost");
        await spool.remove(leaseId);
        return "unwanted";
      }
      if (isRefusedForGood(error)) {
        logger.error({ leaseId, err: error }, "master refused the answer; set aside");
        await spool.setAside(leaseId);
        return "unwanted";
      }
      throw error;
    }
    await spool.remove(leaseId);
    return "taken";
  }

  async function run(): Promise<void> {
    while (waiting.size > 0 && !closing.signal.aborted) {
      for (const leaseId of waiting) {
        try {
          const answer = await spool.read(leaseId);
          if (answer === undefined) await spool.setAside(leaseId);
          else await settle(answer);
          waiting.delete(leaseId);
        } catch (error) {
          if (closing.signal.aborted) return;
          isReachable = false;
          await pause(error, leaseId);
          break;
        }
      }
    }
  }

  async function pause(error: unknown, leaseId: string): Promise<void> {
    const waitMs = backoff.next(retryAfterOf(error));
    logger.warn({ leaseId, err: error, waitMs, waiting: waiting.size }, "answer waits on the disk");
    rest = new AbortController();
    await options.sleep(waitMs, AbortSignal.any([rest.signal, closing.signal]));
  }

  function begin(): void {
    if (closing.signal.aborted || waiting.size === 0) return;
    running ??= run()
      .catch((error: unknown) => {
        logger.error({ err: error }, "answers could not be sent");
      })
      .finally(() => {
        running = undefined;
        // One that came when nothing was left and this had not ended yet.
        begin();
      });
  }

  return {
    start() {
      for (const leaseId of spool.leaseIds) waiting.add(leaseId);
      begin();
    },
    has: (leaseId) => waiting.has(leaseId),
    get waitingCount() {
      return waiting.size;
    },
    async send(answer) {
      const { leaseId } = answer;
      const [kept] = await Promise.allSettled([spool.put(answer)]);
      const isKept = kept.status === "fulfilled";
      if (isKept && !isReachable) {
        waiting.add(leaseId);
        begin();
        return;
      }
      try {
        if ((await settle(answer)) === "taken") return;
      } catch (error) {
        if (kept.status === "rejected") throw kept.reason;
        isReachable = false;
        if (closing.signal.aborted) return;
        logger.warn({ leaseId, err: error }, "answer waits on the disk");
        waiting.add(leaseId);
        begin();
        return;
      }
      throw new LongshoreError("LEASE_LOST", `The master takes no answer for ${leaseId}.`, {
        details: { leaseId },
      });
    },
    nudge() {
      isReachable = true;
      rest.abort();
      begin();
    },
    noteUnreachable() {
      isReachable = false;
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      await running;
    },
  };
}
