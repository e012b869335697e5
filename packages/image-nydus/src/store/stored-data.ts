import { existsSync } from "node:fs";
import type { ConvertOptions } from "../convert/convert-layers.ts";
import type { FinishedBlob } from "../rafs/blob-writer.ts";
import type { ImageDatabase } from "./image-database.ts";
import type { BlobRecord } from "./image-records.ts";
import type { StoreLayout } from "./store-layout.ts";

export interface StorePlace {
  readonly database: ImageDatabase;
  readonly layout: StoreLayout;
}

/** What the store notes of a blob of data that was written here. */
export function dataRecord(blob: FinishedBlob): BlobRecord {
  const { id, uncompressedSize, compressedSize, chunkCount, compressor, digester } = blob;
  const { chunkTable, features, dataSize } = blob;
  return {
    blobId: id,
    kind: "data",
    dataSize,
    storedSize: compressedSize,
    info: {
      id,
      uncompressedSize,
      compressedSize,
      chunkCount,
      compressor,
      digester,
      chunkTable,
      features,
    },
  };
}

/** Finds chunks in blobs whose files are there: no image may lean on one that someone has deleted. */
export function findStoredChunk({ database, layout }: StorePlace): ConvertOptions["findChunk"] {
  const isThere = new Map<string, boolean>();
  return (digest) => {
    const place = database.findChunk(digest);
    if (place === undefined) return undefined;
    const { blobId } = place;
    const there = isThere.get(blobId) ?? existsSync(layout.blobPath(blobId));
    isThere.set(blobId, there);
    return there ? place : undefined;
  };
}
