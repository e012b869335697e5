import { gunzipSync, zstdDecompressSync } from "node:zlib";
import type { Compressor } from "./algorithms.ts";
import { decodeLz4Block } from "./lz4-block.ts";
import { rafsFault } from "./rafs-fault.ts";

/**
 * Undoes a compression whose result's size is known. Takes no more memory than that size, whatever the bytes are.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when the bytes are damaged or of another size
 */
export function decompress(bytes: Buffer, compressor: Compressor, size: number): Buffer {
  const plain = inflate(bytes, compressor, size);
  if (plain.length === size) return plain;
  throw rafsFault("chunk-data", `${compressor} data has ${plain.length} bytes in place of ${size}`);
}

function inflate(bytes: Buffer, compressor: Compressor, size: number): Buffer {
  // zlib refuses a limit of 0.
  const limits = { maxOutputLength: Math.max(size, 1) };
  try {
    switch (compressor) {
      case "none":
        return bytes;
      case "lz4":
        return decodeLz4Block(bytes, size);
      case "gzip":
        return gunzipSync(bytes, limits);
      case "zstd":
        return zstdDecompressSync(bytes, limits);
      default:
        return compressor satisfies never;
    }
  } catch (cause) {
    const fault = rafsFault("chunk-data", `${compressor} data cannot be decoded`);
    fault.cause = cause;
    throw fault;
  }
}
