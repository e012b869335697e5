import PQueue from "p-queue";
import { isLongshoreError } from "../errors/longshore-error.ts";
import type { JobLease } from "../executor/active-job.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { WorkerTelemetry } from "../telemetry/worker-telemetry.ts";
import type { JobTransport } from "../transport/job-transport.ts";

export interface LeaseKeeperOptions {
  readonly logger: Logger;
  readonly telemetry: WorkerTelemetry;
  /** The lease is another worker's now; it is not kept any more. */
  onLost(lease: JobLease): void;
}

/** Keeps every lease of the worker alive until it is answered. */
export interface LeaseKeeper extends Disposable {
  keep(lease: JobLease): void;
  release(lease: JobLease): void;
}

/** Extensions under way at a time, for each transport. */
const concurrentExtensions = 16;

export function createLeaseKeeper(options: LeaseKeeperOptions): LeaseKeeper {
  const { logger, telemetry, onLost } = options;
  const kept = new Map<JobTransport, TransportLeases>();

  async function extend(lease: JobLease): Promise<void> {
    const leases = kept.get(lease.transport);
    if (leases?.byId.get(lease.leaseId) !== lease) return;
    try {
      await lease.transport.extend(lease.leaseId);
    } catch (error) {
      if (isLongshoreError(error, "LEASE_LOST")) {
        leases.byId.delete(lease.leaseId);
        telemetry.leaseLost(lease.transport.name);
        onLost(lease);
        return;
      }
      // The next round tries again; a lease outlives two failed rounds.
      telemetry.transportError(lease.transport.name);
      logger.warn({ err: error, leaseId: lease.leaseId }, "lease could not be extended");
    }
  }

  function open(transport: JobTransport): TransportLeases {
    const queue = new PQueue({ concurrency: concurrentExtensions });
    const byId = new Map<string, JobLease>();
    const timer = setInterval(() => {
      if (queue.size > 0) return;
      for (const lease of byId.values()) void queue.add(() => extend(lease));
    }, transport.leaseMs / 3);
    const leases = { byId, timer, queue };
    kept.set(transport, leases);
    return leases;
  }

  return {
    keep(lease) {
      const leases = kept.get(lease.transport) ?? open(lease.transport);
      leases.byId.set(lease.leaseId, lease);
    },
    release(lease) {
      kept.get(lease.transport)?.byId.delete(lease.leaseId);
    },
    [Symbol.dispose]() {
      for (const { timer, queue, byId } of kept.values()) {
        clearInterval(timer);
        queue.clear();
        byId.clear();
      }
      kept.clear();
    },
  };
}

interface TransportLeases {
  readonly byId: Map<string, JobLease>;
  readonly timer: NodeJS.Timeout;
  readonly queue: PQueue;
}
