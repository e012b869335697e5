import { LongshoreError } from "../errors/longshore-error.ts";
import type { ActiveJob } from "../executor/active-job.ts";
import type { JobRecord, JobStore } from "../store/job-store.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { JobTransport } from "../transport/job-transport.ts";
import type { Adoption } from "./adoption.ts";
import type { JobBoard } from "./job-board.ts";

export interface RecoveryOptions {
  readonly workerId: string;
  readonly leaseMs: number;
  readonly store: JobStore;
  readonly board: JobBoard;
  readonly adoption: Adoption;
  readonly transports: readonly JobTransport[];
  /** Jobs that are being stored and are not on the board yet */
  readonly arriving: ReadonlySet<string>;
  readonly logger: Logger;
  readonly now: () => number;
  isOpen(): boolean;
  abandon(job: ActiveJob, reason: LongshoreError): Promise<void>;
}

/** Finds the jobs in the store that nobody works on any more. */
export interface Recovery {
  /** To be called once the transports brought back what they still held for this worker. */
  atStart(): Promise<void>;
  /** Jobs of workers that died, in a store that several workers share. */
  takeOver(): Promise<void>;
}

export function createRecovery(options: RecoveryOptions): Recovery {
  const { workerId, leaseMs, store, board, adoption, transports, arriving, logger, now } = options;

  /** Takes over what is left unfinished in the store and is not this process's doing. */
  async function recover(): Promise<readonly JobRecord[]> {
    const nowMs = now();
    const left = await store.recover({
      owner: workerId,
      nowMs,
      leaseExpiresAtMs: nowMs + leaseMs,
    });
    return left.filter(({ jobId }) => board.get(jobId) === undefined && !arriving.has(jobId));
  }

  return {
    async atStart() {
      const names = new Set(transports.map((transport) => transport.name));
      const reason = new LongshoreError("WORKER_LOST", "Another worker took the job over.");
      for (const record of await recover()) {
        const { jobId, source } = record;
        if (source === undefined) await adoption.resume(record, undefined);
        else if (names.has(source.transport)) {
          await options.abandon(board.add(record, undefined), reason);
        } else logger.warn({ jobId, source }, "job waits for a transport that is not configured");
      }
    },
    async takeOver() {
      for (const record of await recover()) {
        if (record.source === undefined && options.isOpen()) {
          await adoption.resume(record, undefined);
        }
      }
    },
  };
}
