import {
  encodeJobError,
  isLongshoreError,
  LongshoreError,
  type JobTransport,
  type TransportHealth,
} from "@longshore/core";
import { openAnswerSpool, type AnswerSpool } from "./answer-spool.ts";
import { backoff } from "./backoff.ts";
import { eventRelay, type EventRelay } from "./event-relay.ts";
import { fitResult } from "./fit-result.ts";
import { HeldLeases } from "./held-leases.ts";
import { masterCall } from "./master-call.ts";
import { eventReceipt, extended } from "./messages.ts";
import { outbox, type Outbox } from "./outbox.ts";
import { pollLoop, type PollLoop } from "./poll-loop.ts";
import { resolvePollingOptions, type PollingTransportOptions } from "./polling-options.ts";
import { isLeaseGone } from "./refusal.ts";

/** First wait between two tries of anything, in milliseconds */
const firstBackoffMs = 250;
/** What surrounds a result and events in an ack, at most */
const envelopeBytes = 64;

/** What a transport that was started works with. */
interface Started {
  readonly spool: AnswerSpool;
  readonly outbox: Outbox;
  readonly events: EventRelay;
  readonly loop: PollLoop;
}

/**
 * Jobs from a master that the worker polls over HTTP: for workers that nobody can reach from outside. The protocol is
 * described in `docs/protocols/polling-protocol.md`; `createMaster` is a master.
 *
 * `start` waits for the master as long as it takes, or until it is aborted.
 *
 * @throws {TypeError} for a URL that is not one of HTTP
 * @throws {RangeError} for a number that makes no sense
 * @throws {LongshoreError} `CONFIG_ERROR` for plain HTTP to another host
 */
export function httpPollingTransport(transportOptions: PollingTransportOptions): JobTransport {
  const options = resolvePollingOptions(transportOptions);
  const { name, leaseMs, logger, sleep, random, maxBackoffMs } = options;
  const call = masterCall(options);
  const held = new HeldLeases();
  const closing = new AbortController();
  let started: Started | undefined;

  const newBackoff = (): ReturnType<typeof backoff> =>
    backoff({ firstMs: Math.min(firstBackoffMs, maxBackoffMs), capMs: maxBackoffMs, random });

  function working(): Started {
    if (started !== undefined) return started;
    throw new LongshoreError("TRANSPORT_ERROR", "The transport was not started.");
  }

  async function close(parts: Started | undefined): Promise<void> {
    closing.abort();
    await parts?.loop[Symbol.asyncDispose]();
    await parts?.events[Symbol.asyncDispose]();
    await parts?.outbox[Symbol.asyncDispose]();
    await parts?.spool[Symbol.asyncDispose]();
  }

  return {
    name,
    leaseMs,
    async start(sink, { workerId, signal }) {
      signal?.throwIfAborted();
      const spool = await openAnswerSpool({
        directory: options.directory,
        url: options.url,
        workerId,
        maxBytes: options.maxSpoolBytes,
        logger,
      });
      const answers = outbox({ spool, call, backoff: newBackoff(), sleep, logger });
      const parts: Started = {
        spool,
        outbox: answers,
        events: eventRelay({
          report: async (events, stop) => {
            await call(`/workers/${encodeURIComponent(workerId)}/events`, {
              method: "POST",
              body: { events },
              answer: eventReceipt,
              signal: stop,
            });
          },
          backoff: newBackoff(),
          sleep,
          logger,
        }),
        loop: pollLoop({
          options,
          call,
          sink,
          workerId,
          spool,
          outbox: answers,
          held,
          backoff: newBackoff(),
        }),
      };
      // What comes in while it starts may be answered at once: a job that ended before the worker was killed.
      started = parts;
      try {
        await parts.loop.start(signal);
      } catch (error) {
        started = undefined;
        await close(parts);
        throw error;
      }
    },
    async pause() {
      await started?.loop.pause();
    },
    async ack(leaseId, result) {
      if (held.wasAnswered(leaseId)) return;
      held.get(leaseId);
      const { events, outbox: answers, loop } = working();
      const rest = await events.takeRest(leaseId);
      const restBytes = Buffer.byteLength(JSON.stringify(rest));
      // The result matters more than what led to it.
      const hasRest = rest.length > 0 && restBytes < loop.maxResultBytes / 4;
      const roomBytes = loop.maxResultBytes - (hasRest ? restBytes : 0) - envelopeBytes;
      const body = { ...(hasRest && { events: rest }), result: fitResult(result, roomBytes) };
      await settle(leaseId, () => answers.send({ leaseId, kind: "ack", body }));
      held.noteAnswered(leaseId);
    },
    async nack(leaseId, error, { requeue, delayMs = 0, countAttempt = true }) {
      held.get(leaseId);
      const body = {
        error: encodeJobError(error),
        requeue,
        delay_ms: Math.min(Math.round(delayMs), 86_400_000),
        count_attempt: countAttempt,
      };
      await settle(leaseId, () => working().outbox.send({ leaseId, kind: "nack", body }));
    },
    async extend(leaseId) {
      held.get(leaseId);
      try {
        await call(`/leases/${encodeURIComponent(leaseId)}/extend`, {
          method: "POST",
          body: {},
          answer: extended,
          signal: closing.signal,
        });
      } catch (error) {
        if (!isLeaseGone(error)) throw asTransportError(error);
        held.forget(leaseId);
        throw new LongshoreError("LEASE_LOST", `The lease ${leaseId} is over.`, {
          cause: error,
          details: { leaseId },
        });
      }
    },
    publishEvent(leaseId, event) {
      if (held.has(leaseId)) started?.events.add(leaseId, event);
    },
    async health(): Promise<TransportHealth> {
      if (started === undefined) return { status: "ok" };
      const { outbox: answers, spool, loop } = started;
      if (loop.problem !== undefined) return loop.problem;
      if (spool.isFull) {
        return { status: "degraded", message: "No room is left for answers; nothing is leased." };
      }
      if (answers.waitingCount === 0) return { status: "ok" };
      return { status: "degraded", message: `${answers.waitingCount} answers wait on the disk.` };
    },
    async [Symbol.asyncDispose]() {
      const parts = started;
      started = undefined;
      await close(parts);
    },
  };

  /** Lets go of a lease once its answer is out of the worker's hands, or not wanted. */
  async function settle(leaseId: string, send: () => Promise<void>): Promise<void> {
    try {
      await send();
    } catch (error) {
      if (isLongshoreError(error, "LEASE_LOST")) held.forget(leaseId);
      throw error;
    }
    held.forget(leaseId);
  }
}

function asTransportError(error: unknown): unknown {
  if (!isLongshoreError(error) || error.code === "TRANSPORT_ERROR") return error;
  return new LongshoreError("TRANSPORT_ERROR", error.message, { cause: error });
}
