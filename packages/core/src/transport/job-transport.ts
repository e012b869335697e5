import type { Abortable } from "../abortable.ts";
import type { JobError } from "../errors/job-error.ts";
import type { JobEvent } from "../job/job-event.ts";
import type { JobResult } from "../job/job-result.ts";

/** A job handed to this worker alone, for as long as the lease lives. */
export interface JobDelivery {
  /** Names the lease in later calls; unique within the transport */
  readonly leaseId: string;
  /** The transport's own name for the message, e.g. a file name; the same at each redelivery */
  readonly name: string;
  /** How often the message went from one worker to another, plus one; a worker that gets its own back keeps the number */
  readonly attempt: number;
  /** The document as it came in, not yet parsed */
  readonly body: Uint8Array;
  readonly contentType: "application/json" | "application/yaml";
  /** Who sent it, as a policy subject, e.g. `"local:alice"` */
  readonly subject: string;
}

/** The worker's side of a transport. */
export interface LeaseSink {
  /**
   * Takes a delivery. Resolves once the job is stored or the delivery was refused by `nack`; a transport that waits
   * for it before it leases more has its backpressure. Never rejects.
   */
  deliver(delivery: JobDelivery): Promise<void>;
  /** A client wants the job to end. */
  cancel(request: { readonly jobId: string; readonly reason?: string }): void;
  /** The lease went to somebody else; the worker stops the job without an answer. */
  lost(leaseId: string): void;
}

export interface TransportStart extends Abortable {
  /** Names the leases' owner; unique among the workers of one transport */
  readonly workerId: string;
}

export interface NackOptions {
  /** `true` gives the message back, `false` puts it aside as dead */
  readonly requeue: boolean;
  /** Wait before the message is offered again, in milliseconds. @default 0 */
  readonly delayMs?: number;
  /** Whether the next delivery counts as a new attempt. @default true */
  readonly countAttempt?: boolean;
}

export interface TransportHealth {
  readonly status: "ok" | "degraded" | "unhealthy";
  readonly message?: string;
}

/**
 * Brings jobs in and takes answers out, at least once.
 *
 * A message belongs to one worker at a time by a lease of {@link leaseMs}. The worker calls `extend` at a third of it;
 * a lease that runs out gives the message to another worker with its attempt one higher. Only `ack` and a `nack`
 * without requeue end a message: a worker that dies in between loses nothing.
 *
 * Calls for different leases may overlap.
 */
export interface JobTransport extends AsyncDisposable {
  /** Stable name used in configuration, events and records, e.g. `"file"` */
  readonly name: string;
  /** How long a lease lives when it is not extended, in milliseconds */
  readonly leaseMs: number;

  /**
   * Begins to lease. Resolves once every message that this worker id still held from an earlier process was given to
   * the sink again; new ones may come before and after that. A start that rejects leaves nothing running.
   *
   * @throws {LongshoreError} `WORKER_ID_IN_USE` when a live process leases under this id, `TRANSPORT_ERROR`
   */
  start(sink: LeaseSink, options: TransportStart): Promise<void>;

  /** Leases nothing further; leases that exist stay, as do `ack`, `nack` and `extend`. Idempotent. */
  pause(): Promise<void>;

  /**
   * Delivers the answer, then forgets the message. Idempotent: an ack of a message that is already answered succeeds.
   *
   * @throws {LongshoreError} `LEASE_LOST` when the message went to another worker, `TRANSPORT_ERROR`
   */
  ack(leaseId: string, result: JobResult): Promise<void>;

  /** @throws {LongshoreError} `LEASE_LOST`, `TRANSPORT_ERROR` */
  nack(leaseId: string, error: JobError, options: NackOptions): Promise<void>;

  /** Gives the lease another {@link leaseMs}. @throws {LongshoreError} `LEASE_LOST`, `TRANSPORT_ERROR` */
  extend(leaseId: string): Promise<void>;

  /** Shows an event to whoever submitted the job. Best effort: never rejects, never waits for a slow reader. */
  publishEvent?(leaseId: string, event: JobEvent): void;

  health(): Promise<TransportHealth>;
}
