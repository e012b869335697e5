import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { LongshoreError } from "@longshore/core";

export interface ChecksumOptions {
  readonly size: number;
  /** 64 hex digits */
  readonly expected: string;
  readonly signal: AbortSignal;
  /** Called with a share, 0–1 */
  readonly onProgress: (share: number) => void;
}

const chunkBytes = 1_048_576;

/**
 * Reads a file from start to end and compares its sha256.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH`
 */
export async function verifyChecksum(file: FileHandle, options: ChecksumOptions): Promise<void> {
  const { size, expected, signal, onProgress } = options;
  const hash = createHash("sha256");
  const buffer = Buffer.alloc(chunkBytes);
  for (let offset = 0; ;) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, chunkBytes, offset);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    offset += bytesRead;
    onProgress(Math.min(1, offset / size));
  }
  const actual = hash.digest("hex");
  if (actual === expected) return;
  throw new LongshoreError(
    "IMAGE_CHECKSUM_MISMATCH",
    "The image's sha256 is not the one that was given.",
    { phase: "validation", details: { expected, actual } },
  );
}
