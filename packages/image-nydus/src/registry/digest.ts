import { createHash, type Hash } from "node:crypto";
import { invalid, shown } from "./registry-errors.ts";

/** Hash functions of digests, with the length of their hexadecimal form. */
const hexLengths = { sha256: 64, sha512: 128 } as const;

export interface Digest {
  readonly algorithm: keyof typeof hexLengths;
  /** Lower-case hexadecimal */
  readonly hex: string;
}

const pattern = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/** Whether a text is a digest that can be checked here: `sha256:` or `sha512:` and lower-case hexadecimal. */
export function isDigest(text: string): boolean {
  return pattern.test(text);
}

/** @throws {LongshoreError} `VALIDATION_ERROR` */
export function parseDigest(text: string): Digest {
  const colon = text.indexOf(":");
  const algorithm = text.slice(0, colon);
  if (!isDigest(text) || (algorithm !== "sha256" && algorithm !== "sha512")) {
    throw invalid(
      "digest",
      `expected sha256: or sha512: and lower-case hexadecimal digits, got ${shown(text)}`,
    );
  }
  return { algorithm, hex: text.slice(colon + 1) };
}

/** An empty hash of the kind that a digest is made with. */
export function digestHash(digest: string): Hash {
  return createHash(parseDigest(digest).algorithm);
}

/** The digest of bytes: as `like`, or sha256. */
export function digestOf(bytes: Uint8Array, like = "sha256:"): string {
  const algorithm = like.startsWith("sha512:") ? "sha512" : "sha256";
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}
