import { LongshoreError } from "@longshore/core";

/** A lease that the worker has. */
export interface HeldLease {
  readonly leaseId: string;
  readonly jobId: string;
  /** Whether the worker has taken the job: before that, nobody there knows of it */
  isTaken: boolean;
  /** A cancel that came before */
  cancel: { readonly reason: string | undefined } | undefined;
}

/** Answers that are remembered, so that one that is given twice is no error */
const rememberedAnswers = 10_000;

/** The leases that the worker has and has not answered. */
export class HeldLeases {
  readonly #byLease = new Map<string, HeldLease>();
  readonly #answered = new Set<string>();

  get ids(): readonly string[] {
    return [...this.#byLease.keys()];
  }

  has(leaseId: string): boolean {
    return this.#byLease.has(leaseId);
  }

  add(leaseId: string, jobId: string): HeldLease {
    const lease = { leaseId, jobId, isTaken: false, cancel: undefined };
    this.#byLease.set(leaseId, lease);
    return lease;
  }

  find(leaseId: string): HeldLease | undefined {
    return this.#byLease.get(leaseId);
  }

  /** @throws {LongshoreError} `LEASE_LOST` */
  get(leaseId: string): HeldLease {
    const lease = this.#byLease.get(leaseId);
    if (lease !== undefined) return lease;
    throw new LongshoreError("LEASE_LOST", `The lease ${leaseId} is over.`, {
      details: { leaseId },
    });
  }

  forget(leaseId: string): void {
    this.#byLease.delete(leaseId);
  }

  wasAnswered(leaseId: string): boolean {
    return this.#answered.has(leaseId);
  }

  noteAnswered(leaseId: string): void {
    this.#answered.add(leaseId);
    if (this.#answered.size <= rememberedAnswers) return;
    for (const oldest of this.#answered) {
      this.#answered.delete(oldest);
      break;
    }
  }
}
