import {
  admissionRules,
  isTerminal,
  jobGate,
  LongshoreError,
  payloadDigest,
  type AdmissionOverrides,
  type JobStore,
  type Policy,
  type SignatureVerifier,
} from "@longshore/core";
import type { JobDesk } from "../api-context.ts";
import type { JobBook } from "./job-book.ts";
import type { JobClock } from "./job-clock.ts";
import { toEntry } from "./job-entry.ts";
import type { JobSteps } from "./job-steps.ts";
import { withSent } from "./sent-document.ts";

export interface SubmissionOptions {
  readonly masterId: string;
  readonly store: JobStore;
  readonly policy: Policy;
  readonly admission: AdmissionOverrides | undefined;
  readonly verifySignature: SignatureVerifier | undefined;
  readonly book: JobBook;
  readonly steps: JobSteps;
  readonly clock: JobClock;
  readonly maxJobs: number;
  readonly now: () => number;
}

/** Takes jobs in: those that the policy and the rules let, as many as there is room for. */
export function submission(
  options: SubmissionOptions,
): Pick<JobDesk, "checkDocument" | "submitDocument"> {
  const { masterId, store, policy, verifySignature, book, steps, clock, now } = options;
  // What a worker allows is for the worker to say: it checks each job again.
  const rules = admissionRules({
    allowedModes: ["handler", "process", "image", "build", "sandbox"],
    allowedImages: ["*"],
    ...options.admission,
  });
  const passGate = jobGate({ policy, rules, verifySignature, who: "master", now });
  let arriving = 0;

  /** Resolves with whom the job is let in for. */
  async function admit(
    ...[{ document, wire }, { subject = "anonymous", signal } = {}]: Parameters<
      JobDesk["checkDocument"]
    >
  ): Promise<string> {
    if (book.size + arriving >= options.maxJobs) {
      throw new LongshoreError("QUEUE_FULL", `${book.size} jobs wait or run; try again later.`);
    }
    return passGate(document, { subject, wire, signal });
  }

  return {
    async checkDocument(job, submitOptions) {
      await admit(job, submitOptions);
    },
    async submitDocument(job, submitOptions) {
      const submitter = await admit(job, submitOptions);
      const document = withSent(job.document, job.wire);
      const { idempotencyKey } = document.execution;
      const nowMs = now();
      arriving += 1;
      try {
        const { record } = await store.insert({
          document,
          owner: masterId,
          leaseExpiresAtMs: nowMs,
          acceptedAtMs: nowMs,
          ...(submitter !== "anonymous" && { submittedBy: submitter }),
          ...(idempotencyKey !== undefined && {
            payloadDigest: payloadDigest(document.operation, document.payload.data),
          }),
        });
        const isDeduplicated = isTerminal(record.state);
        if (!isDeduplicated) {
          const entry = toEntry(record, nowMs, 0);
          book.add(entry);
          steps.tell(entry, {
            kind: "state",
            timestamp: new Date(nowMs).toISOString(),
            attempt: entry.attempt,
            phase: "queued",
            message: "The job was accepted.",
          });
          clock.look(entry);
        }
        return { jobId: document.jobId, isDeduplicated };
      } finally {
        arriving -= 1;
      }
    },
  };
}
