import type { ErrorCode } from "../errors/error-codes.ts";
import { LongshoreError } from "../errors/longshore-error.ts";

/** Why a signed message is not trusted; in `details.reason`. Stable across releases. */
export type EnvelopeRefusal =
  | "malformed"
  | "too_large"
  | "unknown_key"
  | "revoked_key"
  | "key_not_valid_now"
  | "purpose_not_allowed"
  | "bad_signature"
  | "wrong_subject"
  | "wrong_purpose"
  | "wrong_audience"
  | "expired"
  | "from_the_future"
  | "payload_mismatch"
  | "replayed"
  | "replay_cache_full";

const codes = {
  malformed: "INVALID_BODY",
  too_large: "INVALID_BODY",
  unknown_key: "SIGNATURE_INVALID",
  revoked_key: "SIGNATURE_INVALID",
  key_not_valid_now: "SIGNATURE_INVALID",
  purpose_not_allowed: "SIGNER_MISMATCH",
  bad_signature: "SIGNATURE_INVALID",
  wrong_subject: "SIGNER_MISMATCH",
  wrong_purpose: "SIGNATURE_INVALID",
  wrong_audience: "SIGNATURE_INVALID",
  expired: "REQUEST_EXPIRED",
  from_the_future: "REQUEST_EXPIRED",
  payload_mismatch: "SIGNATURE_INVALID",
  replayed: "REPLAY_DETECTED",
  // The same message may come again once there is room.
  replay_cache_full: "QUEUE_FULL",
} as const satisfies Record<EnvelopeRefusal, ErrorCode>;

export function envelopeError(
  reason: EnvelopeRefusal,
  message: string,
  options: ErrorOptions = {},
): LongshoreError {
  return new LongshoreError(codes[reason], message, {
    ...options,
    phase: "authentication",
    details: { reason },
  });
}
