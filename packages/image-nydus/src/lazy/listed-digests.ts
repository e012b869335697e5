import { isLongshoreError, LongshoreError } from "@longshore/core/errors";
import type { StoredChunk } from "../rafs/chunk-info.ts";
import type { LazyBlobSource } from "./lazy-blob-options.ts";

/** Digests that an image lists for the chunks of one blob. */
export interface ListedDigests {
  /** `undefined` for a chunk that cannot be checked, and so is of no use */
  find(chunk: StoredChunk): Buffer | undefined;
  /** @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` for such a chunk */
  require(chunk: StoredChunk): Buffer;
}

export function listedDigests(source: Pick<LazyBlobSource, "blob" | "digestOf">): ListedDigests {
  function find(chunk: StoredChunk): Buffer | undefined {
    try {
      const digest = source.digestOf(chunk);
      return digest.length === 32 ? digest : undefined;
    } catch (error) {
      if (isLongshoreError(error, "IMAGE_CHECKSUM_MISMATCH")) return undefined;
      throw error;
    }
  }
  return {
    find,
    require(chunk) {
      const digest = find(chunk);
      if (digest !== undefined) return digest;
      const { id } = source.blob;
      throw new LongshoreError(
        "IMAGE_CHECKSUM_MISMATCH",
        `The image does not list chunk ${chunk.index} of blob ${id} where the blob has it.`,
        { details: { blobId: id, chunk: chunk.index } },
      );
    },
  };
}
