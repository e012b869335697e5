import { createHash, randomBytes, randomUUID } from "node:crypto";
import type { EnvelopeBody, EnvelopePurpose, SignedEnvelope } from "./envelope.ts";
import { signBytes, signedBytes } from "./signature.ts";
import type { SigningKey } from "./signing-key.ts";

/** What an envelope is to say. Give either `payload` or `detachedPayload`. */
export interface EnvelopeInput {
  readonly purpose: EnvelopePurpose;
  /** To whom it speaks, e.g. a worker id */
  readonly audience: string;
  /** JSON, carried inside */
  readonly payload?: unknown;
  /** Bytes that travel beside the envelope; only their digest is inside */
  readonly detachedPayload?: Uint8Array | undefined;
  /** Ties an answer to its request. @default a UUID */
  readonly requestId?: string | undefined;
  /** Who made it, when that is not the key's subject */
  readonly issuer?: string | undefined;
  /** Time in ms since the epoch after which it no longer counts. @default what the reader allows */
  readonly expiresAtMs?: number | undefined;
  /** 16 bytes that no other envelope of this key has. @default random */
  readonly nonce?: Uint8Array | undefined;
  /** @default the clock */
  readonly nowMs?: number | undefined;
}

/**
 * Signs a message. Each call makes a new nonce, so a message that is sent again must be signed again.
 *
 * @throws {LongshoreError} `SERIALIZATION_ERROR` for a payload that is not JSON
 * @throws {TypeError} for both kinds of payload, or neither
 * @throws {RangeError} for a nonce that is not 16 bytes
 */
export function signEnvelope(input: EnvelopeInput, key: SigningKey): SignedEnvelope {
  const { payload, detachedPayload, issuer, expiresAtMs } = input;
  const { requestId = randomUUID(), nonce = randomBytes(16), nowMs = Date.now() } = input;
  if ((payload === undefined) === (detachedPayload === undefined)) {
    throw new TypeError("An envelope needs either payload or detachedPayload");
  }
  if (nonce.byteLength !== 16) {
    throw new RangeError(`nonce must be 16 bytes, got ${nonce.byteLength}`);
  }
  const env: EnvelopeBody = {
    request_id: requestId,
    ...(issuer !== undefined && { iss: issuer }),
    sub: key.subject,
    aud: input.audience,
    iat_ms: nowMs,
    ...(expiresAtMs !== undefined && { exp_ms: expiresAtMs }),
    nonce: Buffer.from(nonce).toString("base64url"),
    purpose: input.purpose,
    ...(detachedPayload === undefined ? { payload } : { payload_sha256: sha256(detachedPayload) }),
  };
  const sig = signBytes(signedBytes(input.purpose, env), key.privateKey);
  return { v: 1, alg: "Ed25519", kid: key.kid, env, sig };
}

/** Digest as an envelope carries it, hex. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
