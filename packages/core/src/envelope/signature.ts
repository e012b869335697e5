import { sign, verify, type KeyObject } from "node:crypto";
import { isLongshoreError } from "../errors/longshore-error.ts";
import { decodeBase64Url } from "./base64url.ts";
import { canonicalJson } from "./canonical-json.ts";
import type { EnvelopePurpose } from "./envelope.ts";

/**
 * The bytes that are signed: the value as canonical JSON, after a prefix that no other protocol uses and that differs for
 * each purpose.
 *
 * @throws {LongshoreError} `SERIALIZATION_ERROR`
 */
export function signedBytes(purpose: EnvelopePurpose, value: unknown): Buffer {
  return Buffer.from(`worker-envelope-v1:${purpose}:${canonicalJson(value)}`);
}

/** Ed25519, base64url. */
export function signBytes(bytes: Uint8Array, privateKey: KeyObject): string {
  return sign(null, bytes, privateKey).toString("base64url");
}

/** A value that came with a signature, and what is said to be its signature. */
export interface SignedValue {
  readonly purpose: EnvelopePurpose;
  readonly value: unknown;
  /** base64url */
  readonly signature: string;
}

/** `false` also for what is not a signature at all, or not a value that could be signed. */
export function isSignatureValid(signed: SignedValue, publicKey: KeyObject): boolean {
  const signature = decodeBase64Url(signed.signature, 64);
  if (signature === undefined) return false;
  let bytes: Buffer;
  try {
    bytes = signedBytes(signed.purpose, signed.value);
  } catch (error) {
    if (isLongshoreError(error, "SERIALIZATION_ERROR")) return false;
    throw error;
  }
  return verify(null, bytes, publicKey, signature);
}
