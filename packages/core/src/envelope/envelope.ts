import { z } from "zod";

/** What a signature is for; one made for another purpose never counts. */
export const envelopePurposes = ["job", "result", "rpc", "event", "heartbeat"] as const;

export type EnvelopePurpose = (typeof envelopePurposes)[number];

/** What is signed, in wire names. */
export interface EnvelopeBody {
  readonly request_id: string;
  /** Who made it, when that is not its subject */
  readonly iss?: string | undefined;
  /** In whose name it speaks */
  readonly sub: string;
  /** To whom it speaks */
  readonly aud: string;
  /** Ms since the epoch */
  readonly iat_ms: number;
  readonly exp_ms?: number | undefined;
  /** 16 random bytes, base64url */
  readonly nonce: string;
  readonly purpose: EnvelopePurpose;
  /** One of the two: the payload, or the digest (hex) of bytes that travel beside the envelope */
  readonly payload?: unknown;
  readonly payload_sha256?: string | undefined;
}

/** A signed message as it goes over a wire. */
export interface SignedEnvelope {
  readonly v: 1;
  readonly alg: "Ed25519";
  readonly kid: string;
  readonly env: EnvelopeBody;
  /** 64 bytes, base64url */
  readonly sig: string;
}

const text = z.string().min(1).max(256);
const time = z.int().min(0);

const bodySchema = z
  .strictObject({
    request_id: text,
    iss: text.optional(),
    sub: text,
    aud: text,
    iat_ms: time,
    exp_ms: time.optional(),
    nonce: z.string().length(22),
    purpose: z.enum(envelopePurposes),
    payload: z.unknown().optional(),
    payload_sha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
  })
  .refine((body) => (body.payload === undefined) !== (body.payload_sha256 === undefined), {
    error: "needs either payload or payload_sha256",
  });

/** Strict: a member that is not signed, or that this version cannot judge, is no part of an envelope. */
export const signedEnvelopeSchema: z.ZodType<SignedEnvelope> = z.strictObject({
  v: z.literal(1),
  alg: z.literal("Ed25519"),
  kid: text,
  env: bodySchema,
  sig: z.string().length(86),
});
