import { decodeBase64Url } from "./base64url.ts";
import { signedEnvelopeSchema, type EnvelopeBody, type EnvelopePurpose } from "./envelope.ts";
import type { SignedEnvelope } from "./envelope.ts";
import { envelopeError } from "./envelope-error.ts";
import { usableKey, type KeySet } from "./key-set.ts";
import type { ReplayCache } from "./replay-cache.ts";
import { sha256 } from "./sign-envelope.ts";
import { isSignatureValid } from "./signature.ts";
import { hasDuplicateKeys } from "./unique-keys.ts";

export interface VerifyOptions {
  readonly keys: KeySet;
  /** Remembers nonces; one for everything that reads for this audience */
  readonly replayCache: ReplayCache;
  /** The purpose this reader serves */
  readonly purpose: EnvelopePurpose;
  /** Who is reading, e.g. the worker's id */
  readonly audience: string;
  /** Bytes that came beside the envelope; needed when it carries a digest, refused when it does not */
  readonly detachedPayload?: Uint8Array | undefined;
  /** @default 300_000 */
  readonly maxAgeMs?: number | undefined;
  /** How far the signer's clock may be ahead. @default 30_000 */
  readonly maxSkewMs?: number | undefined;
  /** @default 2_097_152 */
  readonly maxBytes?: number | undefined;
  /** The clock, in ms since the epoch */
  readonly now?: (() => number) | undefined;
}

/** A message that is what it says it is. */
export interface VerifiedEnvelope {
  readonly kid: string;
  readonly subject: string;
  readonly issuer?: string | undefined;
  readonly requestId: string;
  readonly issuedAtMs: number;
  /** Absent when `detachedPayload` was given: then those bytes are the payload */
  readonly payload?: unknown;
}

/**
 * Checks a signed message in this order: form, key, signature, subject, purpose, audience, time, payload, nonce. The
 * nonce is used up last, by a message in which everything else is right: whoever cannot sign cannot burn one.
 *
 * @param message the JSON text as it came in
 * @throws {LongshoreError} `INVALID_BODY`, `SIGNATURE_INVALID`, `SIGNER_MISMATCH`, `REQUEST_EXPIRED`, `REPLAY_DETECTED`,
 *   or `QUEUE_FULL` when no more nonces can be remembered; `details.reason` says more
 */
export async function verifyEnvelope(
  message: string | Uint8Array,
  options: VerifyOptions,
): Promise<VerifiedEnvelope> {
  const { keys, replayCache, maxAgeMs = 300_000, maxBytes = 2_097_152, now = Date.now } = options;
  const { kid, env, sig } = parseEnvelope(message, maxBytes);
  const nowMs = now();
  const key = usableKey(keys, { kid, purpose: env.purpose, nowMs });
  const signed = { purpose: env.purpose, value: env, signature: sig };
  if (!isSignatureValid(signed, key.publicKey)) {
    throw envelopeError("bad_signature", "The signature is not valid.");
  }
  if (env.sub !== key.subject) {
    throw envelopeError("wrong_subject", `The key of ${key.subject} signed for somebody else.`);
  }
  if (env.purpose !== options.purpose) {
    throw envelopeError("wrong_purpose", `The message is for another purpose, "${env.purpose}".`);
  }
  if (env.aud !== options.audience) {
    throw envelopeError("wrong_audience", "The message is for somebody else.");
  }
  const expiresAtMs = checkTime(env, nowMs, { ...options, maxAgeMs });
  checkDetachedPayload(env, options.detachedPayload);
  await useNonce(replayCache, { kid, nonce: env.nonce, expiresAtMs, nowMs });
  return {
    kid,
    subject: env.sub,
    issuer: env.iss,
    requestId: env.request_id,
    issuedAtMs: env.iat_ms,
    payload: env.payload,
  };
}

function parseEnvelope(message: string | Uint8Array, maxBytes: number): SignedEnvelope {
  const byteLength = typeof message === "string" ? Buffer.byteLength(message) : message.byteLength;
  if (byteLength > maxBytes) {
    throw envelopeError(
      "too_large",
      `The message has ${byteLength} bytes; ${maxBytes} are allowed.`,
    );
  }
  let json: unknown;
  try {
    const text =
      typeof message === "string"
        ? message
        : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(message);
    json = JSON.parse(text);
    if (hasDuplicateKeys(text)) throw new SyntaxError("an object names a member twice");
  } catch (error) {
    throw envelopeError("malformed", "The message is not JSON.", { cause: error });
  }
  const parsed = signedEnvelopeSchema.safeParse(json);
  if (!parsed.success || decodeBase64Url(parsed.data.env.nonce, 16) === undefined) {
    throw envelopeError("malformed", "The message is not a signed envelope.", {
      cause: parsed.error,
    });
  }
  return parsed.data;
}

/** Returns the time up to which the message would be accepted, in ms since the epoch. */
function checkTime(
  env: EnvelopeBody,
  nowMs: number,
  limits: { readonly maxAgeMs: number; readonly maxSkewMs?: number | undefined },
): number {
  const { maxAgeMs, maxSkewMs = 30_000 } = limits;
  if (env.iat_ms - nowMs > maxSkewMs) {
    throw envelopeError(
      "from_the_future",
      "The message was signed in the future; check the clocks.",
    );
  }
  const expiresAtMs = Math.min(env.iat_ms + maxAgeMs, env.exp_ms ?? Infinity);
  if (nowMs > expiresAtMs) throw envelopeError("expired", "The message is too old.");
  return expiresAtMs;
}

function checkDetachedPayload(env: EnvelopeBody, bytes: Uint8Array | undefined): void {
  const digest = bytes === undefined ? undefined : sha256(bytes);
  if (env.payload_sha256 === digest) return;
  throw envelopeError("payload_mismatch", "The payload is not the one that was signed.");
}

async function useNonce(
  cache: ReplayCache,
  use: Parameters<ReplayCache["remember"]>[0],
): Promise<void> {
  const outcome = await cache.remember(use);
  switch (outcome) {
    case "new":
      return;
    case "seen":
      throw envelopeError("replayed", "The message has been received before.");
    case "full":
      throw envelopeError("replay_cache_full", "Too many messages to remember; try again later.");
    default:
      throw envelopeError("replayed", "The message cannot be told from a replay.");
  }
}
