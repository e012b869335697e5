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
  /** Resolves when the answer is out, or was given up: then the message comes again. Never rejects. */
  ack(lease: JobLease, result: JobResult): Promise<void>;
  nack(lease: JobLease, error: JobError, options: NackOptions): Promise<void>;
  /** Resolves when no answer is under way. */
  settled(): Promise<void>;
}

/** Answers under way at a time. */
const concurrentAnswers = 64;
const retryDelaysMs = [50, 250, 1_000, 4_000];

export function createAnswers(options: AnswersOptions): Answers {
  const { leases, logger, telemetry } = options;
  const queue = new PQueue({ concurrency: concurrentAnswers });

  async function send(lease: JobLease, call: () => Promise<void>): Promise<void> {
    const { transport, leaseId } = lease;
    for (let tries = 0; ; tries += 1) {
      try {
        await call();
        break;
      } catch (error) {
        if (isLongshoreError(error, "LEASE_LOST")) {
          telemetry.leaseLost(transport.name);
          logger.warn(
            { transport: transport.name, leaseId },
            "answer came too late; lease is lost",
          );
          break;
        }
        telemetry.transportError(transport.name);
        const delayMs = retryDelaysMs[tries];
        if (delayMs === undefined) {
          logger.error(
            { transport: transport.name, leaseId, err: error },
            "answer could not be delivered; the message will come again",
          );
          break;
        }
        await new Promise((resolve) => setTimeout(resolve, delayMs));
      }
    }
    leases.release(lease);
  }

  return {
    ack: (lease, result) =>
      queue.add(() => send(lease, () => lease.transport.ack(lease.leaseId, result))),
    nack: (lease, error, nackOptions) =>
      queue.add(() => send(lease, () => lease.transport.nack(lease.leaseId, error, nackOptions))),
    settled: () => queue.onIdle(),
  };
}
