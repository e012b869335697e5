import { createHash } from "node:crypto";
import { LongshoreError } from "@longshore/core/errors";
import type { BlobReader } from "../mount/blob-reader.ts";
import type { ImageBlob } from "../rafs/readable-filesystem.ts";
import type { ChunkRef } from "../tree/inode.ts";

/** Bytes of a chunk and their sha256. */
interface ReadChunk {
  /** Belong to the reader again when it is asked for another chunk */
  readonly bytes: Buffer;
  readonly digest: Buffer;
}

/** Reads chunks of an image one after the other, each checked against the image's metadata. Calls must not overlap. */
export interface ChunkSource {
  /**
   * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` when the bytes are not those of the image; what the blob reader throws
   */
  read(chunk: ChunkRef): Promise<ReadChunk>;
  /** The sha256 of a chunk if the image says it: its own digest may be of another kind, or missing. */
  digestOf(chunk: ChunkRef): Buffer | undefined;
}

/**
 * @param reader gives the blobs' bytes
 * @param image the blobs of the image and the size of its chunks
 */
export function chunkSource(
  reader: BlobReader,
  image: { readonly blobs: readonly ImageBlob[]; readonly chunkSize: number },
): ChunkSource {
  const hashed = new Set(
    image.blobs.filter(({ digester }) => digester === "sha256").map(({ id }) => id),
  );
  const buffer = Buffer.allocUnsafeSlow(image.chunkSize);
  let last: (ReadChunk & { readonly chunk: ChunkRef }) | undefined;

  function digestOf({ blobId, digest }: ChunkRef): Buffer | undefined {
    return digest.length === 32 && hashed.has(blobId) ? digest : undefined;
  }

  return {
    digestOf,
    async read(chunk) {
      // Files with large holes are one chunk of zeros over and over.
      if (last?.chunk.blobId === chunk.blobId && last.chunk.index === chunk.index) return last;
      last = undefined;
      const bytes = buffer.subarray(0, chunk.size);
      await reader.read(chunk.blobId, chunk.offset, bytes);
      const digest = createHash("sha256").update(bytes).digest();
      const expected = digestOf(chunk);
      if (expected !== undefined && !expected.equals(digest)) throw damaged(chunk);
      last = { bytes, digest, chunk };
      return last;
    },
  };
}

function damaged({ blobId, index }: ChunkRef): LongshoreError {
  return new LongshoreError(
    "IMAGE_CHECKSUM_MISMATCH",
    `Chunk ${index} of blob ${blobId} is damaged; repair the image store.`,
    { details: { blobId, chunk: index } },
  );
}
