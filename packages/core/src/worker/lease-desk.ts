import { toJobError } from "../errors/job-error.ts";
import { isLongshoreError, LongshoreError } from "../errors/longshore-error.ts";
import type { ActiveJob, JobLease } from "../executor/active-job.ts";
import { documentDigest, payloadDigest } from "../job/digest.ts";
import type { JobDocument } from "../job/job-document.ts";
import { parseJobDocument } from "../job/parse-job-document.ts";
import { isTerminal } from "../job/job-state.ts";
import type { InsertOutcome, JobRecord, JobStore } from "../store/job-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import type {
  JobDelivery,
  JobTransport,
  LeaseSink,
  NackOptions,
} from "../transport/job-transport.ts";
import type { Adoption } from "./adoption.ts";
import type { Answers } from "./answers.ts";
import type { Intake } from "./intake.ts";
import type { JobBoard } from "./job-board.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";

export interface LeaseDeskOptions {
  readonly workerId: string;
  readonly leaseMs: number;
  readonly maxPayloadBytes: number;
  readonly store: JobStore;
  readonly board: JobBoard;
  readonly intake: Intake;
  readonly adoption: Adoption;
  readonly leases: LeaseKeeper;
  readonly answers: Answers;
  readonly logger: Logger;
  readonly now: () => number;
  /** Jobs that are being stored and are not on the board yet */
  readonly arriving: Set<string>;
  isDraining(): boolean;
  enqueue(job: ActiveJob): void;
  cancel(jobId: string, reason: string | undefined): void;
  /** The lease of a job on the board is gone */
  dropLease(lease: JobLease): void;
}

/** Receives what the transports lease: each delivery becomes a job, finds its job again, or is refused. */
export interface LeaseDesk {
  sinkFor(transport: JobTransport): LeaseSink;
}

/** Refusals that another time, or another worker, may not give. */
const temporary = new Set(["QUEUE_FULL", "WORKER_DRAINING", "IO_ERROR", "STATE_CONFLICT"]);
const requeueDelayMs = 1_000;

export function createLeaseDesk(options: LeaseDeskOptions): LeaseDesk {
  const { workerId, store, board, intake, adoption, leases, answers, logger, now } = options;

  async function receive(delivery: JobDelivery, lease: JobLease): Promise<void> {
    await board.room();
    if (options.isDraining()) {
      throw new LongshoreError("WORKER_DRAINING", "The worker takes no more jobs.");
    }
    const { document, wire } = parseJobDocument(delivery.body, {
      contentType: delivery.contentType,
      maxBytes: options.maxPayloadBytes,
    });
    await intake.admit(document, { subject: delivery.subject, wire });
    const { jobId } = document;
    options.arriving.add(jobId);
    try {
      await settle(await insert(document, delivery, lease), lease);
    } finally {
      options.arriving.delete(jobId);
    }
  }

  function insert(
    document: JobDocument,
    delivery: JobDelivery,
    lease: JobLease,
  ): Promise<InsertOutcome> {
    const hasKey = document.execution.idempotencyKey !== undefined;
    return store.insert({
      document,
      owner: workerId,
      leaseExpiresAtMs: now() + options.leaseMs,
      acceptedAtMs: now(),
      attempt: document.execution.attempt + delivery.attempt - 1,
      source: { transport: lease.transport.name, name: delivery.name },
      documentDigest: documentDigest(delivery.body),
      ...(hasKey && { payloadDigest: payloadDigest(document.operation, document.payload.data) }),
    });
  }

  async function settle(outcome: InsertOutcome, lease: JobLease): Promise<void> {
    const { record } = outcome;
    switch (outcome.kind) {
      case "accepted":
        return accept(record, lease);
      case "deduplicated":
        return answerAgain(record, lease);
      case "redelivered":
        return rejoin(record, lease);
      default:
        return outcome satisfies never;
    }
  }

  async function accept(record: JobRecord, lease: JobLease): Promise<void> {
    const job = board.add(record, lease);
    if (record.attempt > record.document.execution.maxAttempts) {
      await adoption.abandon(
        job,
        new LongshoreError(
          "WORKER_LOST",
          "Earlier workers died with this job; its attempts are used up.",
        ),
      );
      return;
    }
    options.enqueue(job);
  }

  async function answerAgain(record: JobRecord, lease: JobLease): Promise<void> {
    if (record.result === undefined) {
      throw new LongshoreError("INTERNAL_ERROR", `Job ${record.jobId} has ended without a result.`);
    }
    await answers.ack(lease, record.result);
  }

  /** The message of a known job came again: its lease was lost, or the process that held it died. */
  async function rejoin(record: JobRecord, lease: JobLease): Promise<void> {
    if (isTerminal(record.state)) return answerAgain(record, lease);
    const job = board.get(record.jobId);
    if (job !== undefined) {
      job.lease = lease;
      return;
    }
    if (record.owner === workerId) {
      await adoption.resume(record, lease);
      return;
    }
    const [takenOver] = await store.recover({
      owner: workerId,
      jobId: record.jobId,
      nowMs: now(),
      leaseExpiresAtMs: now() + options.leaseMs,
    });
    if (takenOver === undefined) {
      throw new LongshoreError("STATE_CONFLICT", `Job ${record.jobId} belongs to ${record.owner}.`);
    }
    await adoption.resume(takenOver, lease);
  }

  async function refuse(delivery: JobDelivery, lease: JobLease, thrown: unknown): Promise<void> {
    const error = toJobError(thrown, "INTERNAL_ERROR");
    const nack = nackFor(thrown);
    logger.warn(
      { transport: lease.transport.name, message: delivery.name, code: error.code, err: thrown },
      nack.requeue ? "message given back" : "message refused",
    );
    await answers.nack(lease, error, nack);
  }

  return {
    sinkFor: (transport) => ({
      async deliver(delivery) {
        const lease: JobLease = { transport, leaseId: delivery.leaseId };
        leases.keep(lease);
        try {
          await receive(delivery, lease);
        } catch (error) {
          await refuse(delivery, lease, error);
        }
      },
      cancel({ jobId, reason }) {
        options.cancel(jobId, reason);
      },
      lost(leaseId) {
        const job = board.findByLease({ transport, leaseId });
        if (job?.lease !== undefined) {
          leases.release(job.lease);
          options.dropLease(job.lease);
        }
      },
    }),
  };
}

function nackFor(thrown: unknown): NackOptions {
  // A fault of ours may be one of the message's making: it counts, so that it ends some day.
  if (!isLongshoreError(thrown)) return { requeue: true, delayMs: requeueDelayMs };
  const isTemporary =
    temporary.has(thrown.code) || (thrown.code === "CAPABILITY_MISMATCH" && thrown.retryable);
  return isTemporary
    ? { requeue: true, delayMs: requeueDelayMs, countAttempt: false }
    : { requeue: false };
}
