import { LongshoreError } from "@longshore/core/errors";
import { alignUp } from "../erofs/align-up.ts";
import { deviceSlotSize, encodeDeviceSlot } from "../erofs/device-slot.ts";
import { blockSize, encodeSuperblock, incompatFeatures } from "../erofs/superblock.ts";
import type { ByteString } from "../tree/inode.ts";
import { requireChunkSize } from "./algorithms.ts";
import { blobEntrySize, encodeBlobEntry } from "./blob-table.ts";
import { checkBlobs, type BootstrapBlob, type PackedImage } from "./bootstrap-image.ts";
import { layOutBootstrap, rootNid, type BootstrapLayout } from "./bootstrap-layout.ts";
import type { ByteSink } from "./byte-sink.ts";
import { chunkCollector, type ChunkCollector } from "./chunk-collector.ts";
import { chunkEntrySize, encodeChunkEntry } from "./chunk-table.ts";
import {
  encodeExtendedSuperblock,
  flagsFor,
  rafsCompatFeature,
  rafsDeviceTableSlot,
  rafsFlags,
} from "./extended-superblock.ts";
import { blobFeatures } from "./blob-features.ts";
import { pagedWriter } from "./paged-writer.ts";
import { writeMetadata } from "./write-metadata.ts";

/** What was written. */
export interface WrittenBootstrap {
  readonly size: number;
  /** sha256 of the bytes, hex */
  readonly digest: string;
  readonly inodeCount: number;
  /** Bytes of all files with their holes; hard links count once */
  readonly fileBytes: number;
  /** Distinct chunks that its files refer to */
  readonly chunkCount: number;
  /**
   * Xattrs that were left out, by name, with the number of files that had them: those in namespaces that Linux does not
   * let anybody set on this file system either. Holds up to 1,000 names.
   */
  readonly omittedXattrs: ReadonlyMap<ByteString, number>;
}

const maxImageSize = 2 ** 31;
/** Devices are mapped at multiples of this many bytes */
const mappingStep = 524_288;

/**
 * Writes the RAFS v6 bootstrap of an image: an EROFS image that the kernel mounts with the image's uncompressed blobs as
 * devices, and that Nydus' own tools read. The same image always gives the same bytes. Besides the tree, it needs some
 * 20 bytes of memory for each file.
 *
 * @param target gets the bytes in order
 * @throws {LongshoreError} `VALIDATION_ERROR` for a tree or blobs that no image can have, `LIMIT_EXCEEDED` for more than
 * the format holds; nothing was written then. Errors of the target pass through.
 */
export async function writePackedBootstrap(
  target: ByteSink,
  image: PackedImage,
  options: { readonly signal?: AbortSignal } = {},
): Promise<WrittenBootstrap> {
  const { signal } = options;
  signal?.throwIfAborted();
  const chunkSize = requireChunkSize(image.chunkSize ?? 1_048_576);
  checkBlobs(image.blobs);
  const { tree } = image;
  const chunks = chunkCollector(tree.chunks, image.blobs, chunkSize);
  const layout = layOutBootstrap(tree, chunks);
  const places = placeTables(image, layout, chunks);
  const header = encodeHeader({ image, layout, places, chunkSize, chunkCount: chunks.size });
  const writer = pagedWriter(target);
  header.copy(writer.reserve(header.length));
  await writer.flush();
  const { metaOffset } = places;
  await writeMetadata({ writer, tree, layout, chunks, chunkSize, metaOffset, signal });
  writer.padTo(places.chunkTableOffset);
  for (const entry of chunks.entries()) {
    encodeChunkEntry(writer.reserve(chunkEntrySize), 0, entry);
    if (writer.isFull) {
      signal?.throwIfAborted();
      await writer.flush();
    }
  }
  writer.padTo(places.end);
  await writer.flush();
  return {
    size: places.end,
    digest: writer.digest(),
    inodeCount: layout.inodeCount,
    fileBytes: layout.fileBytes,
    chunkCount: chunks.size,
    omittedXattrs: layout.omittedXattrs,
  };
}

interface TablePlaces {
  readonly blobTableOffset: number;
  readonly prefetchOffset: number;
  readonly metaOffset: number;
  readonly chunkTableOffset: number;
  readonly end: number;
}

function placeTables(
  image: PackedImage,
  layout: BootstrapLayout,
  chunks: ChunkCollector,
): TablePlaces {
  const count = image.blobs.length;
  const blobTableOffset = alignUp((rafsDeviceTableSlot + count) * deviceSlotSize, blockSize);
  const prefetchOffset = blobTableOffset + count * blobEntrySize;
  const metaOffset = alignUp(prefetchOffset + 4 * (image.prefetch?.length ?? 0), blockSize);
  const dataOffset = alignUp(metaOffset + layout.inodesEnd, blockSize);
  const chunkTableOffset = dataOffset + layout.dataBlocks * blockSize;
  const end = alignUp(chunkTableOffset + chunks.size * chunkEntrySize, blockSize);
  if (end > maxImageSize) {
    throw new LongshoreError(
      "LIMIT_EXCEEDED",
      `The metadata of the image takes ${end} bytes; it can have ${maxImageSize}`,
    );
  }
  return { blobTableOffset, prefetchOffset, metaOffset, chunkTableOffset, end };
}

interface HeaderParts {
  readonly image: PackedImage;
  readonly layout: BootstrapLayout;
  readonly places: TablePlaces;
  readonly chunkSize: number;
  readonly chunkCount: number;
}

/** Everything before the metadata area. */
function encodeHeader(parts: HeaderParts): Buffer {
  const { image, layout, places, chunkSize, chunkCount } = parts;
  const { blobs, prefetch = [] } = image;
  const header = Buffer.alloc(places.metaOffset);
  encodeSuperblock(header, {
    checksum: 0,
    featureCompat: rafsCompatFeature,
    blockBits: 12,
    extensionSlots: 0,
    rootNid,
    inodeCount: layout.inodeCount,
    blocks: encodeDevices(header, blobs, places.end),
    metaBlock: places.metaOffset / blockSize,
    xattrBlock: 0,
    featureIncompat: incompatFeatures.chunkedFiles | incompatFeatures.deviceTable,
    compression: 0,
    extraDevices: blobs.length,
    deviceTableSlot: rafsDeviceTableSlot,
  });
  encodeExtendedSuperblock(header, {
    flags: imageFlags(blobs),
    blobTableOffset: places.blobTableOffset,
    blobTableSize: blobs.length * blobEntrySize,
    chunkSize,
    chunkTableOffset: places.chunkTableOffset,
    chunkTableSize: chunkCount * chunkEntrySize,
    prefetchTableOffset: prefetch.length > 0 ? places.prefetchOffset : 0,
    prefetchTableSize: 4 * prefetch.length,
  });
  for (const [index, blob] of blobs.entries()) {
    const entry = encodeBlobEntry({ ...blob, index, chunkSize });
    entry.copy(header, places.blobTableOffset + index * blobEntrySize);
  }
  for (const [index, inode] of prefetch.entries()) {
    const nid = layout.nids[inode] ?? 0;
    if (nid === 0) {
      throw new LongshoreError("VALIDATION_ERROR", `File ${index} to prefetch is not in the tree`);
    }
    header.writeUInt32LE(nid, places.prefetchOffset + 4 * index);
  }
  return header;
}

/** @returns the blocks of all devices */
function encodeDevices(header: Buffer, blobs: readonly BootstrapBlob[], imageEnd: number): number {
  let end = imageEnd;
  let blocks = 0;
  for (const [index, blob] of blobs.entries()) {
    const start = alignUp(end, mappingStep);
    end = start + blob.uncompressedSize;
    if (end / blockSize > 0xffff_ffff) {
      throw new LongshoreError(
        "LIMIT_EXCEEDED",
        "The blobs of the image have more blocks of 4096 bytes together than 32 bits count",
      );
    }
    blocks += blob.uncompressedSize / blockSize;
    const slot = encodeDeviceSlot({
      tag: blob.id,
      blocks: blob.uncompressedSize / blockSize,
      mappedBlock: start / blockSize,
    });
    slot.copy(header, (rafsDeviceTableSlot + index) * deviceSlotSize);
  }
  return blocks;
}

function imageFlags(blobs: readonly BootstrapBlob[]): number {
  const packed = blobs.find((blob) => blob.compressor !== "none");
  const hasDigests = (blob: BootstrapBlob): boolean =>
    (blob.features & blobFeatures.inlineDigests) !== 0;
  const digests = blobs.length > 0 && blobs.every(hasDigests) ? rafsFlags.inlineDigests : 0;
  return flagsFor(packed?.compressor ?? "none", "sha256") | digests;
}
