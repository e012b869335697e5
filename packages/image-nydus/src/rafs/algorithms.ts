import { LongshoreError } from "@longshore/core/errors";
import type { ImageBlob } from "./readable-filesystem.ts";

/** How chunks and tables of a blob are compressed. */
export type Compressor = ImageBlob["compressor"];
/** How chunks of a blob are named by content. */
export type Digester = ImageBlob["digester"];

const compressors: readonly Compressor[] = ["none", "lz4", "gzip", "zstd"];
const digesters: readonly Digester[] = ["blake3", "sha256"];

/** The compressor a number in a blob table or a header names; `undefined` for none known. */
export function compressorOf(value: number): Compressor | undefined {
  return compressors[value];
}

/** The number of a compressor. */
export function compressorNumber(compressor: Compressor): number {
  return compressors.indexOf(compressor);
}

/** The digest function a number in a blob table names; `undefined` for none known. */
export function digesterOf(value: number): Digester | undefined {
  return digesters[value];
}

/** The number of a digest function. */
export function digesterNumber(digester: Digester): number {
  return digesters.indexOf(digester);
}

/**
 * Checks a chunk size and gives it back.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` unless it is a power of two from 4 KiB to 16 MiB
 */
export function requireChunkSize(chunkSize: number): number {
  if (isChunkSize(chunkSize)) return chunkSize;
  throw new LongshoreError(
    "VALIDATION_ERROR",
    `chunkSize must be a power of two from 4096 to 16777216, got ${chunkSize}`,
    { details: { field: "chunkSize" } },
  );
}

/** Whether images may have chunks of this size. */
export function isChunkSize(chunkSize: number): boolean {
  return chunkSize >= 4096 && chunkSize <= 16_777_216 && Number.isInteger(Math.log2(chunkSize));
}
