import { createPublicKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { Abortable } from "../abortable.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import { decodeBase64Url } from "./base64url.ts";
import { envelopePurposes, type EnvelopePurpose } from "./envelope.ts";
import { envelopeError } from "./envelope-error.ts";

/** A public key, and whom it speaks for. */
export interface VerifyKey {
  readonly kid: string;
  readonly publicKey: KeyObject;
  /** The only subject that what it signs may name, e.g. `"service:dispatcher"` */
  readonly subject: string;
  /** What it may sign; anything when absent */
  readonly purposes?: readonly EnvelopePurpose[] | undefined;
  readonly isRevoked: boolean;
  /** Ms since the epoch before which it does not count */
  readonly notBeforeMs?: number | undefined;
  /** Ms since the epoch from which it does not count */
  readonly notAfterMs?: number | undefined;
}

/** The keys that are trusted. Several may be active at once, which is how keys are rotated. */
export interface KeySet {
  get(kid: string): VerifyKey | undefined;
}

const seconds = z.number().min(0).max(1e11);

const keySchema = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  kid: z.string().min(1).max(256),
  x: z.string(),
  sub: z.string().min(1).max(256),
  purposes: z.array(z.enum(envelopePurposes)).min(1).optional(),
  revoked: z.boolean().default(false),
  nbf: seconds.optional(),
  exp: seconds.optional(),
  use: z.literal("sig").optional(),
  alg: z.enum(["EdDSA", "Ed25519"]).optional(),
  d: z.never("this is a private key; a key set holds public ones").optional(),
});

const keySetSchema = z.object({ keys: z.array(keySchema).min(1).max(1_000) });

/**
 * Reads a JWK set (RFC 7517) of Ed25519 keys. Each key also names its subject in `sub`; `purposes`, `revoked`, `nbf` and
 * `exp` (seconds since the epoch) narrow it down.
 *
 * @throws {LongshoreError} `CONFIG_ERROR` for anything else, two keys of one name, or a private key
 */
export function parseKeySet(json: unknown): KeySet {
  const parsed = keySetSchema.safeParse(json);
  if (!parsed.success) throw keySetError(z.prettifyError(parsed.error), parsed.error);
  const keys = new Map<string, VerifyKey>();
  for (const { kid, x, sub, purposes, revoked, nbf, exp } of parsed.data.keys) {
    if (keys.has(kid)) throw keySetError(`two keys are named "${kid}"`);
    keys.set(kid, {
      kid,
      publicKey: publicKeyOf(kid, x),
      subject: sub,
      purposes,
      isRevoked: revoked,
      notBeforeMs: nbf === undefined ? undefined : nbf * 1_000,
      notAfterMs: exp === undefined ? undefined : exp * 1_000,
    });
  }
  return { get: (kid) => keys.get(kid) };
}

/**
 * {@link parseKeySet} of a file.
 *
 * @throws {LongshoreError} `CONFIG_ERROR` when it cannot be read or is not a key set
 */
export async function loadKeySet(path: string, { signal }: Abortable = {}): Promise<KeySet> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, { encoding: "utf8", signal }));
  } catch (error) {
    signal?.throwIfAborted();
    throw keySetError(`${path} cannot be read`, error);
  }
  return parseKeySet(json);
}

/**
 * The key of that name, when it may be used for this purpose now.
 *
 * @throws {LongshoreError} `SIGNATURE_INVALID`, `SIGNER_MISMATCH`
 */
export function usableKey(
  keys: KeySet,
  use: { readonly kid: string; readonly purpose: EnvelopePurpose; readonly nowMs: number },
): VerifyKey {
  const { kid, purpose, nowMs } = use;
  const key = keys.get(kid);
  if (key === undefined || key.kid !== kid) {
    throw envelopeError("unknown_key", "The signing key is not known.");
  }
  if (key.isRevoked) throw envelopeError("revoked_key", "The signing key was revoked.");
  const { notBeforeMs = -Infinity, notAfterMs = Infinity } = key;
  if (nowMs < notBeforeMs || nowMs >= notAfterMs) {
    throw envelopeError("key_not_valid_now", "The signing key is not valid at this time.");
  }
  if (key.purposes !== undefined && !key.purposes.includes(purpose)) {
    throw envelopeError("purpose_not_allowed", `The key may not sign for "${purpose}".`);
  }
  return key;
}

function publicKeyOf(kid: string, x: string): KeyObject {
  if (decodeBase64Url(x, 32) === undefined) {
    throw keySetError(`"x" of the key "${kid}" is not 32 bytes of base64url`);
  }
  return createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
}

function keySetError(problem: string, cause?: unknown): LongshoreError {
  return new LongshoreError("CONFIG_ERROR", `The key set is not usable: ${problem}.`, { cause });
}
