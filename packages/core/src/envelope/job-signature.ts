import { z } from "zod";
import type { WireDocument } from "../job/codec.ts";
import type { JobDocument } from "../job/job-document.ts";
import { envelopeError } from "./envelope-error.ts";
import { usableKey, type KeySet } from "./key-set.ts";
import { isSignatureValid, signBytes, signedBytes } from "./signature.ts";
import type { SigningKey } from "./signing-key.ts";

/** Who signed a job. */
export interface JobSigner {
  readonly kid: string;
  readonly subject: string;
}

export interface VerifyJobOptions {
  readonly keys: KeySet;
  /**
   * Age, by `created_at`, up to which a signed job counts. A signed job can be sent again by anyone who has seen it; its
   * id keeps it from running twice for as long as the worker keeps results, so the two belong together.
   * @default 86_400_000
   */
  readonly maxAgeMs?: number | undefined;
  /** How far `created_at` may lie in the future. @default 30_000 */
  readonly maxSkewMs?: number | undefined;
  /** The clock, in ms since the epoch */
  readonly now?: (() => number) | undefined;
}

const signatureSchema = z.strictObject({
  algorithm: z.literal("ed25519"),
  public_key_id: z.string().min(1).max(256),
  value: z.string().length(86),
});

const claimsSchema = z.object({
  job_id: z.string().min(1),
  created_at: z.iso.datetime({ offset: true }),
  audit: z
    .object({ authorization: z.object({ subject: z.string().optional() }).optional() })
    .optional(),
});

/**
 * A copy of the wire document with its signature. The signature covers everything else as it stands: a field that is
 * added, dropped or changed afterwards, even by filling in a default, breaks it.
 *
 * @param wire has `job_id` and `created_at`
 * @throws {LongshoreError} `SERIALIZATION_ERROR` for what is not JSON, `INVALID_BODY` without id or time of creation
 */
export function signJob(wire: Readonly<WireDocument>, key: SigningKey): WireDocument {
  const unsigned = withoutSignature(wire);
  if (!claimsSchema.safeParse(unsigned).success) {
    throw envelopeError("malformed", "A job needs job_id and created_at to be signed.");
  }
  return {
    ...unsigned,
    signature: {
      algorithm: "ed25519",
      public_key_id: key.kid,
      value: signBytes(signedBytes("job", unsigned), key.privateKey),
    },
  };
}

/**
 * Checks the signature of a job: form, key, signature, subject, age. It is bound to no worker, and used as often as the
 * job's id lets it be.
 *
 * @param wire the document exactly as it came in
 * @throws {LongshoreError} `SIGNATURE_INVALID`, `SIGNER_MISMATCH` when `audit.authorization.subject` names somebody else,
 *   `REQUEST_EXPIRED`; `details.reason` says more
 */
export function verifyJobSignature(
  wire: Readonly<WireDocument>,
  options: VerifyJobOptions,
): JobSigner {
  const { keys, maxAgeMs = 86_400_000, maxSkewMs = 30_000, now = Date.now } = options;
  const signature = signatureSchema.safeParse(wire["signature"]);
  if (!signature.success) {
    throw envelopeError("bad_signature", "The job has no signature of a known form.");
  }
  const { public_key_id: kid, value } = signature.data;
  const nowMs = now();
  const key = usableKey(keys, { kid, purpose: "job", nowMs });
  const unsigned = withoutSignature(wire);
  const signed = { purpose: "job", value: unsigned, signature: value } as const;
  if (!isSignatureValid(signed, key.publicKey)) {
    throw envelopeError("bad_signature", "The job's signature is not valid.");
  }
  const claims = claimsSchema.safeParse(unsigned);
  if (!claims.success) {
    throw envelopeError("expired", "A signed job needs job_id and created_at.");
  }
  const claimed = claims.data.audit?.authorization?.subject;
  if (claimed !== undefined && claimed !== key.subject) {
    throw envelopeError("wrong_subject", `The key of ${key.subject} signed for somebody else.`);
  }
  const createdAtMs = Date.parse(claims.data.created_at);
  if (createdAtMs - nowMs > maxSkewMs) {
    throw envelopeError("from_the_future", "The job was signed in the future; check the clocks.");
  }
  if (!(nowMs - createdAtMs <= maxAgeMs)) {
    throw envelopeError("expired", "The signed job is too old.");
  }
  return { kid, subject: key.subject };
}

/** {@link verifyJobSignature} in the form that a worker's `verifySignature` takes. */
export function jobSignatureVerifier(
  options: VerifyJobOptions,
): (document: JobDocument, wire: WireDocument) => JobSigner {
  return (_document, wire) => verifyJobSignature(wire, options);
}

function withoutSignature(wire: Readonly<WireDocument>): WireDocument {
  const unsigned = { ...wire };
  delete unsigned["signature"];
  return unsigned;
}
