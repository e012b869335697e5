import PQueue from "p-queue";
import type { JobError } from "../errors/job-error.ts";
import { isLongshoreError } from "../errors/longshore-error.ts";
import type { JobLease } from "../executor/active-job.ts";
import type { JobResult } from "../job/job-result.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { WorkerTelemetry } from "../telemetry/worker-telemetry.ts";
import type { NackOptions } from "../transport/job-transport.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";

export interface AnswersOptions {
  readonly leases: LeaseKeeper;
  readonly logger: Logger;
  readonly telemetry: WorkerTelemetry;
}

/** Brings answers to the transports. A lease is kept alive until its answer is out. */
export interface Answers {
  /**
   * Resolves when the answer is out, or pointless because the lease is lost. A transport that fails is tried again for
   * as long as it takes: until then nobody else may have the message. Never rejects.
   */
  ack(lease: JobLease, result: JobResult): Promise<void>;
  nack(lease: JobLease, error: JobError, options: NackOptions): Promise<void>;
  /** Waits for the answers under way, but gives up those that fail: their messages come again. */
  close(): Promise<void>;
}

/** Answers under way at a time. */
const concurrentAnswers = 64;
const firstRetryMs = 50;
const longestRetryMs = 5_000;

export function createAnswers(options: AnswersOptions): Answers {
  const { leases, logger, telemetry } = options;
  const queue = new PQueue({ concurrency: concurrentAnswers });

  const closing = new AbortController();

  async function send(lease: JobLease, call: () => Promise<void>): Promise<void> {
    for (let delayMs = firstRetryMs; ; delayMs = Math.min(2 * delayMs, longestRetryMs)) {
      if (await isSent(lease, call)) break;
      if (closing.signal.aborted) break;
      await pause(delayMs);
    }
    leases.release(lease);
  }

  /** Whether there is nothing left to do about the answer. */
  async function isSent(lease: JobLease, call: () => Promise<void>): Promise<boolean> {
    const { transport, leaseId } = lease;
    try {
      await call();
      return true;
    } catch (error) {
      if (isLongshoreError(error, "LEASE_LOST")) {
        telemetry.leaseLost(transport.name);
        logger.warn({ transport: transport.name, leaseId }, "answer came too late; lease is lost");
        return true;
      }
      telemetry.transportError(transport.name);
      logger.error({ transport: transport.name, leaseId, err: error }, "answer not delivered");
      return false;
    }
  }

  /** Waits, but not once the worker stops. */
  async function pause(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, delayMs);
    const onClose = (): void => {
      resolve();
    };
    closing.signal.addEventListener("abort", onClose, { once: true });
    await promise;
    clearTimeout(timer);
    closing.signal.removeEventListener("abort", onClose);
  }

  return {
    ack: (lease, result) =>
      queue.add(() => send(lease, () => lease.transport.ack(lease.leaseId, result))),
    nack: (lease, error, nackOptions) =>
      queue.add(() => send(lease, () => lease.transport.nack(lease.leaseId, error, nackOptions))),
    async close() {
      closing.abort();
      await queue.onIdle();
    },
  };
}
