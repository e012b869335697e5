import type { ImageBlob } from "../rafs/readable-filesystem.ts";

/** An image as the store knows it. */
export interface ImageRecord {
  /** Digest of its config, `sha256:…` */
  readonly imageId: string;
  /** Blob that holds its metadata, hex */
  readonly bootstrapId: string;
  readonly manifestDigest: string;
  /** The manifest as it came, JSON */
  readonly manifest: string;
  /** The config as it came, JSON */
  readonly config: string;
  /** Bytes of all its files */
  readonly logicalSize: number;
  readonly inodeCount: number;
  readonly isPinned: boolean;
  readonly pulledAtMs: number;
  /** Where it came from, as a user would write it */
  readonly origin: string;
}

export type BlobKind = "data" | "bootstrap" | "remote";

export interface BlobRecord {
  /** sha256 of the file, hex */
  readonly blobId: string;
  readonly kind: BlobKind;
  /** Bytes of chunks, without what follows them */
  readonly dataSize: number;
  /** Bytes of the file */
  readonly storedSize: number;
  /** What a blob table says of it; absent for bootstraps */
  readonly info?: ImageBlob | undefined;
}

/** A chunk that is new in a blob. */
interface NewChunk {
  readonly digest: Buffer;
  readonly index: number;
  readonly offset: number;
  readonly size: number;
}

/** Any number of new chunks; an array is one. */
export interface NewChunks {
  readonly length: number;
  at(position: number): NewChunk | undefined;
  /** The first 32 bits of a digest, where they are had for less than by {@link at} */
  digestStart?(position: number): number;
}

export interface ChunkPlace {
  readonly blobId: string;
  readonly index: number;
  readonly offset: number;
  readonly size: number;
}

export interface NewImage {
  readonly image: Omit<ImageRecord, "isPinned">;
  /** Full names; those that other images have move over */
  readonly names: readonly string[];
  /** Files that the image brings along */
  readonly blobs: readonly BlobRecord[];
  /** Everything that the image needs, old and new, without its bootstrap */
  readonly blobIds: readonly string[];
}

export interface OwnerRecord {
  readonly owner: string;
  readonly imageId: string;
  /** The metadata it uses */
  readonly bootstrapId: string;
  readonly kind: string;
  readonly readonly: boolean;
}
