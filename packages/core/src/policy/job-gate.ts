import type { Abortable } from "../abortable.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import { encodeJobDocument, type WireDocument } from "../job/codec.ts";
import type { JobDocument } from "../job/job-document.ts";
import { checkAdmission, type AdmissionRules } from "./admission-rules.ts";
import type { Policy } from "./policy.ts";
import { jobObject } from "./resource-names.ts";

/** Whom a signature speaks for. */
export interface SignedBy {
  readonly subject: string;
}

/**
 * Checks a job's signature, which covers the wire form; throws `SIGNATURE_INVALID` or a relative of it. The policy then
 * judges the signer it names, instead of whoever brought the job.
 */
export type SignatureVerifier = (
  document: JobDocument,
  wire: WireDocument,
) => Promise<SignedBy | void> | SignedBy | void;

export interface JobGateOptions {
  readonly policy: Policy;
  readonly rules: AdmissionRules;
  readonly verifySignature: SignatureVerifier | undefined;
  /** Whose gate it is, for what senders are told */
  readonly who: "worker" | "master";
  readonly now: () => number;
}

export interface AdmitOptions extends Abortable {
  /** Who submits the job */
  readonly subject: string;
  /** The document as it came in. @default the document, encoded */
  readonly wire?: WireDocument | undefined;
}

/**
 * What every job has to pass, wherever it comes in: its signature, the policy, the rules. Resolves with the subject that it
 * is let in for.
 *
 * @throws {LongshoreError} `SIGNATURE_INVALID` or a relative of it, `POLICY_DENIED`, and what `checkAdmission` throws
 */
export type JobGate = (document: JobDocument, options: AdmitOptions) => Promise<string>;

export function jobGate({ policy, rules, verifySignature, who, now }: JobGateOptions): JobGate {
  async function signerOf(
    document: JobDocument,
    wire: WireDocument | undefined,
  ): Promise<string | undefined> {
    if (document.signature === undefined && !rules.requireSignature) return undefined;
    if (verifySignature === undefined) {
      // A signature that nobody asked for and nobody can check gives no rights, and takes none.
      if (!rules.requireSignature) return undefined;
      throw new LongshoreError(
        "SIGNATURE_INVALID",
        `Jobs must be signed, but this ${who} was given no keys to check them with.`,
      );
    }
    const signer = await verifySignature(document, wire ?? encodeJobDocument(document));
    return signer?.subject;
  }

  return async (document, { subject: sender, wire, signal }) => {
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
  };
}
