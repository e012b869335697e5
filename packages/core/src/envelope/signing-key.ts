import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { open } from "node:fs/promises";
import { z } from "zod";
import type { Abortable } from "../abortable.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import { decodeBase64Url } from "./base64url.ts";

/** A private key, and whom it speaks for. */
export interface SigningKey {
  readonly kid: string;
  readonly subject: string;
  readonly privateKey: KeyObject;
}

const signingKeySchema = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  kid: z.string().min(1).max(256),
  sub: z.string().min(1).max(256),
  x: z.string(),
  d: z.string(),
});

const maxFileBytes = 16_384;

/**
 * Reads a private Ed25519 JWK (RFC 8037) that names its subject in `sub`.
 *
 * @throws {LongshoreError} `CONFIG_ERROR` for anything else, or when its two halves do not belong together. The message
 *   never holds the key
 */
export function parseSigningKey(json: unknown): SigningKey {
  const parsed = signingKeySchema.safeParse(json);
  if (!parsed.success) {
    const paths = parsed.error.issues.map((issue) => issue.path.join(".") || "the document");
    throw keyError(`check ${paths.join(", ")}`);
  }
  const { kid, sub, x, d } = parsed.data;
  if (decodeBase64Url(x, 32) === undefined || decodeBase64Url(d, 32) === undefined) {
    throw keyError('"x" and "d" must be 32 bytes of base64url');
  }
  const privateKey = createPrivateKey({
    key: { kty: "OKP", crv: "Ed25519", x, d },
    format: "jwk",
  });
  if (createPublicKey(privateKey).export({ format: "jwk" }).x !== x) {
    throw keyError('"x" does not belong to "d"');
  }
  return { kid, subject: sub, privateKey };
}

/**
 * {@link parseSigningKey} of a file that only its owner may read.
 *
 * @throws {LongshoreError} `CONFIG_ERROR` when it cannot be read, is open to others, or is not a signing key
 */
export async function loadSigningKey(
  path: string,
  { signal }: Abortable = {},
): Promise<SigningKey> {
  let text: string;
  let mode: number;
  try {
    signal?.throwIfAborted();
    await using file = await open(path, "r");
    const stats = await file.stat();
    if (!stats.isFile() || stats.size > maxFileBytes) throw keyError(`${path} is not a key file`);
    mode = stats.mode;
    text = await file.readFile({ encoding: "utf8", signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof LongshoreError) throw error;
    throw keyError(`${path} cannot be read`, error);
  }
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    throw keyError(`${path} is open to others; run: chmod 600 ${path}`);
  }
  return parseSigningKey(parseJson(text));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The error of JSON.parse quotes the text, and that is the key.
    throw keyError("it is not JSON");
  }
}

function keyError(problem: string, cause?: unknown): LongshoreError {
  return new LongshoreError("CONFIG_ERROR", `The signing key is not usable: ${problem}.`, {
    cause,
  });
}
