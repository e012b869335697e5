import type { ImageBlob } from "../rafs/readable-filesystem.ts";
import type { BlobKind, BlobRecord, ImageRecord, OwnerRecord } from "./image-records.ts";

export interface ImageRow {
  readonly image_id: string;
  readonly bootstrap_id: string;
  readonly manifest_digest: string;
  readonly manifest: string;
  readonly config: string;
  readonly logical_size: number;
  readonly inode_count: number;
  readonly pinned: number;
  readonly pulled_at: number;
  readonly origin: string;
}

export interface BlobRow {
  readonly blob_id: string;
  readonly kind: BlobKind;
  readonly data_size: number;
  readonly stored_size: number;
  readonly info: string | null;
}

export interface ChunkRow {
  readonly blob_id: string;
  readonly chunk_index: number;
  readonly chunk_offset: number;
  readonly chunk_size: number;
}

export interface OwnerRow {
  readonly owner: string;
  readonly image_id: string;
  readonly bootstrap_id: string;
  readonly kind: string;
  readonly readonly: number;
}

export interface LeaseRow {
  readonly kind: "add" | "delete";
  readonly lease_no: number;
  readonly pid: number;
  readonly process_started: string;
  readonly purpose: string;
}

export function toImage(found: ImageRow): ImageRecord {
  return {
    imageId: found.image_id,
    bootstrapId: found.bootstrap_id,
    manifestDigest: found.manifest_digest,
    manifest: found.manifest,
    config: found.config,
    logicalSize: found.logical_size,
    inodeCount: found.inode_count,
    isPinned: found.pinned !== 0,
    pulledAtMs: found.pulled_at,
    origin: found.origin,
  };
}

export function toBlob(found: BlobRow): BlobRecord {
  return {
    blobId: found.blob_id,
    kind: found.kind,
    dataSize: found.data_size,
    storedSize: found.stored_size,
    ...(found.info !== null && { info: JSON.parse(found.info) as ImageBlob }),
  };
}

export function toOwner(found: OwnerRow): OwnerRecord {
  return {
    owner: found.owner,
    imageId: found.image_id,
    bootstrapId: found.bootstrap_id,
    kind: found.kind,
    readonly: found.readonly !== 0,
  };
}
