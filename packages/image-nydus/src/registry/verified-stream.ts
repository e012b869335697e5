import type { Hash } from "node:crypto";
import { digestHash, parseDigest } from "./digest.ts";
import type { Descriptor } from "./manifest.ts";
import { checksumMismatch } from "./registry-errors.ts";

/** What the reader of a blob has of it already. */
export interface BlobStart {
  /** Bytes that need not be sent again. @default 0 */
  readonly offset?: number | undefined;
  /** Hash that was fed with exactly these bytes; needed with an offset. It is used up. */
  readonly hash?: Hash | undefined;
}

/**
 * Passes a blob's bytes on and checks their number and their digest on the way. The last piece is held back until
 * everything is right, so that wrong data never looks complete.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH`
 */
export async function* verifyBlob(
  source: AsyncIterable<Buffer>,
  descriptor: Pick<Descriptor, "digest" | "size">,
  start: BlobStart = {},
): AsyncGenerator<Buffer, void, undefined> {
  const { digest, size } = descriptor;
  const { offset = 0 } = start;
  const hash = hashOf(start, digest);
  let received = offset;
  let held: Buffer | undefined;
  for await (const chunk of source) {
    if (chunk.length === 0) continue;
    received += chunk.length;
    if (received > size) throw wrongSize(digest, size, `${received} bytes or more`);
    hash.update(chunk);
    if (held !== undefined) yield held;
    held = chunk;
  }
  if (received !== size) throw wrongSize(digest, size, `${received} bytes`);
  const actual = `${parseDigest(digest).algorithm}:${hash.digest("hex")}`;
  if (actual !== digest) throw checksumMismatch(`The content of ${digest}`, digest, actual);
  if (held !== undefined) yield held;
}

/** `IMAGE_CHECKSUM_MISMATCH` for a blob of another size than its descriptor says. */
export function wrongSize(digest: string, expected: number, actual: string): Error {
  return checksumMismatch(`The size of ${digest}`, `${expected} bytes`, actual);
}

function hashOf({ offset = 0, hash }: BlobStart, digest: string): Hash {
  if (offset === 0) return digestHash(digest);
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new RangeError(`offset must be a number of bytes, got ${offset}`);
  }
  if (hash === undefined) {
    throw new TypeError("an offset needs the hash of the bytes before it: else nothing is checked");
  }
  return hash;
}
