import { createHash } from "node:crypto";
import canonicalize from "canonicalize";
import { LongshoreError } from "../errors/longshore-error.ts";

/** sha256 of a document's bytes, hex: the same message has the same digest. */
export function documentDigest(body: Uint8Array | string): string {
  return createHash("sha256").update(body).digest("hex");
}

/**
 * sha256 of what a job is asked to do, hex. The order of keys does not matter (RFC 8785).
 *
 * @throws {LongshoreError} `SERIALIZATION_ERROR` for data that is not JSON
 */
export function payloadDigest(operation: string, data: unknown): string {
  let text: string | undefined;
  try {
    text = canonicalize({ operation, data });
  } catch (error) {
    throw new LongshoreError("SERIALIZATION_ERROR", "The payload is not JSON.", { cause: error });
  }
  if (text === undefined)
    throw new LongshoreError("SERIALIZATION_ERROR", "The payload is not JSON.");
  return createHash("sha256").update(text).digest("hex");
}
