import { blobFeatures, hasUnknownFeatures } from "./blob-features.ts";
import { maxBlobChunks, type BlobEntry } from "./blob-table.ts";
import { chunkInfoSize, maxStoredSize, maxUncompressedSize } from "./chunk-info.ts";
import { rafsFault, unsupportedRafs } from "./rafs-fault.ts";

const runtimeOnlyFeature = 0x8000_0000;

/**
 * Checks an entry of the blob table.
 *
 * @throws {LongshoreError} `IMAGE_CHECKSUM_MISMATCH` with the broken rule in its details; `VALIDATION_ERROR` for a kind of
 * blob that is not supported
 */
export function checkBlobEntry(entry: BlobEntry, position: number, chunkSize: number): void {
  const name = `blob ${position}`;
  if (!/^[\da-f]{64}$/u.test(entry.id))
    throw rafsFault("blob-id", `${name} has no sha256 as its id`);
  if (entry.index !== position)
    throw rafsFault("blob-index", `${name} says that it is ${entry.index}`);
  if (entry.chunkSize !== chunkSize) {
    throw rafsFault("blob-chunk-size", `${name} has chunks of ${entry.chunkSize} bytes`);
  }
  if (entry.chunkCount > maxBlobChunks) {
    throw rafsFault("blob-chunk-count", `${name} has ${entry.chunkCount} chunks`);
  }
  checkFeatures(entry, name);
  if (entry.cipher > 1) throw rafsFault("blob-cipher", `${name} names an unknown cipher`);
  if (entry.cipher === 1) {
    throw unsupportedRafs("with encryption", "convert the original image instead");
  }
  const { uncompressedSize, compressedSize } = entry;
  if (uncompressedSize > maxUncompressedSize || compressedSize > maxStoredSize) {
    throw rafsFault("blob-size", `${name} is too big`);
  }
  checkChunkTable(entry, name);
}

function checkFeatures({ features }: BlobEntry, name: string): void {
  if (hasUnknownFeatures(features) || (features & runtimeOnlyFeature) !== 0) {
    throw rafsFault("blob-features", `${name} has the unknown features 0x${features.toString(16)}`);
  }
  const advice = "convert the original image instead";
  if (features & blobFeatures.tarfs) throw unsupportedRafs("over tar files (tarfs)", advice);
  if (features & blobFeatures.zran) {
    throw unsupportedRafs("that refer to compressed OCI layers", advice);
  }
  if (features & blobFeatures.batch) throw unsupportedRafs("with batched chunks", advice);
  if (features & blobFeatures.encrypted) throw unsupportedRafs("with encryption", advice);
  if (!(features & blobFeatures.aligned)) {
    throw rafsFault("blob-aligned", `${name} has chunks that are not aligned`);
  }
}

function checkChunkTable(entry: BlobEntry, name: string): void {
  const { compressedSize, uncompressedSize } = entry.chunkTable;
  const version = entry.features & blobFeatures.chunkInfoV2 ? "v2" : "v1";
  const generated = (entry.features & blobFeatures.generatedDictionary) !== 0;
  if (compressedSize > uncompressedSize) {
    throw rafsFault("blob-chunk-table", `the chunk table of ${name} grows by compression`);
  }
  if (!generated && uncompressedSize !== entry.chunkCount * chunkInfoSize[version]) {
    throw rafsFault(
      "blob-chunk-table",
      `the chunk table of ${name} has ${uncompressedSize} bytes for ${entry.chunkCount} chunks`,
    );
  }
}
