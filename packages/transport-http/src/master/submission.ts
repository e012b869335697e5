import {
  admissionRules,
  checkAdmission,
  encodeJobDocument,
  isTerminal,
  jobObject,
  LongshoreError,
  payloadDigest,
  type AdmissionOverrides,
  type JobDocument,
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
  let arriving = 0;

  /** Resolves with whom the job is let in for. */
  async function admit(
    ...[{ document, wire }, { subject: sender = "anonymous", signal } = {}]: Parameters<
      JobDesk["checkDocument"]
    >
  ): Promise<string> {
    if (book.size + arriving >= options.maxJobs) {
      throw new LongshoreError("QUEUE_FULL", `${book.size} jobs wait or run; try again later.`);
    }
    const subject = (await signerOf(document, wire)) ?? sender;
    const { namespace = "default" } = document.metadata ?? {};
    const object = jobObject(namespace, document.operation);
    const decision = await policy.check(
      { subject, domain: "*", object, action: "execute" },
      { signal },
    );
    if (!decision.allowed) {
      throw new LongshoreError(
        "POLICY_DENIED",
        `The policy "${policy.name}" does not let ${subject} run ${document.operation}.`,
        { phase: "validation", details: { subject, matchedRule: decision.matchedRule ?? null } },
      );
    }
    checkAdmission(document, rules, now());
    return subject;
  }

  async function signerOf(
    document: JobDocument,
    wire: Parameters<SignatureVerifier>[1] | undefined,
  ): Promise<string | undefined> {
    if (document.signature === undefined && !rules.requireSignature) return undefined;
    if (verifySignature === undefined) {
      if (!rules.requireSignature) return undefined;
      throw new LongshoreError(
        "SIGNATURE_INVALID",
        "Jobs must be signed, but this master was given no keys to check them with.",
      );
    }
    const signer = await verifySignature(document, wire ?? encodeJobDocument(document));
    return signer?.subject;
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
