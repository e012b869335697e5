import { leaseLost, type Claim } from "./claims.ts";
import { RecentSet } from "./recent-set.ts";

/** Answers that are remembered, so that one that is given twice is no error */
const rememberedAnswers = 10_000;

/** The claims whose messages the worker has, by lease and by job. */
export class HeldClaims {
  readonly #byLease = new Map<string, Claim>();
  readonly #leaseByJob = new Map<string, string>();
  readonly #answered = new RecentSet<string>(rememberedAnswers);

  add(claim: Claim): void {
    this.#byLease.set(claim.leaseId, claim);
    if (claim.jobId !== undefined) this.#leaseByJob.set(claim.jobId, claim.leaseId);
  }

  /** @throws {LongshoreError} `LEASE_LOST` */
  get(leaseId: string): Claim {
    const claim = this.#byLease.get(leaseId);
    if (claim === undefined) throw leaseLost(leaseId);
    return claim;
  }

  hasJob(jobId: string): boolean {
    return this.#leaseByJob.has(jobId);
  }

  wasAnswered(leaseId: string): boolean {
    return this.#answered.has(leaseId);
  }

  noteAnswered({ leaseId }: Claim): void {
    this.#answered.add(leaseId);
  }

  forget({ leaseId, jobId }: Claim): void {
    this.#byLease.delete(leaseId);
    if (jobId !== undefined && this.#leaseByJob.get(jobId) === leaseId) {
      this.#leaseByJob.delete(jobId);
    }
  }
}
