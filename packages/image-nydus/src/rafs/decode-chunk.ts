import { createHash } from "node:crypto";
import { blake3 } from "hash-wasm";
import type { Compressor, Digester } from "./algorithms.ts";
import type { StoredChunk } from "./chunk-info.ts";
import { decompress } from "./decompress.ts";
import { rafsFault } from "./rafs-fault.ts";

/** What a chunk must decode to. */
export interface ChunkExpectation {
  readonly chunk: Pick<StoredChunk, "size" | "compressed">;
  readonly compressor: Compressor;
  readonly digester: Digester;
  /** 32 bytes; empty when the image does not tell, and then only the size is checked */
  readonly digest: Buffer;
}

/**
 * The bytes of a chunk from its stored form, checked against its size and digest.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when they are not what the image names
 */
export async function decodeChunk(stored: Buffer, expected: ChunkExpectation): Promise<Buffer> {
  const { chunk, compressor, digester, digest } = expected;
  const bytes = decompress(stored, chunk.compressed ? compressor : "none", chunk.size);
  if (digest.length > 0 && !(await digestChunk(bytes, digester)).equals(digest)) {
    throw rafsFault(
      "chunk-digest",
      "the bytes of a chunk do not have the digest that the image names",
    );
  }
  return bytes;
}

/** The digest of a chunk's uncompressed bytes: 32 bytes. */
export async function digestChunk(bytes: Buffer, digester: Digester): Promise<Buffer> {
  if (digester === "sha256") return createHash("sha256").update(bytes).digest();
  return Buffer.from(await blake3(bytes), "hex");
}
