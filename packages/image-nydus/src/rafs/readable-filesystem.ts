import type { ByteString, ChunkRef, DeviceNumber, FileKind, FileTime } from "../tree/inode.ts";

/** What `stat` says about a file of an image. */
export interface FileStat {
  /** Number of the inode, which names it in all calls */
  readonly nid: number;
  readonly kind: FileKind;
  /** 0–0o7777 */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: FileTime;
  /** Of character and block devices */
  readonly device?: DeviceNumber | undefined;
}

export interface DirectoryEntry {
  readonly name: ByteString;
  readonly nid: number;
  readonly kind: FileKind;
}

/** A blob that an image's files have chunks in. */
export interface ImageBlob {
  /** sha256 of the blob file, hex */
  readonly id: string;
  /** Bytes of the blob's uncompressed space */
  readonly uncompressedSize: number;
  /** Bytes of the blob as it is stored or fetched */
  readonly compressedSize: number;
  readonly chunkCount: number;
  readonly compressor: "none" | "lz4" | "gzip" | "zstd";
  readonly digester: "sha256" | "blake3";
  /** Where in the blob its chunk table lies */
  readonly chunkTable: {
    readonly offset: number;
    readonly compressedSize: number;
    readonly uncompressedSize: number;
    readonly compressor: "none" | "lz4" | "gzip" | "zstd";
  };
  /** Raw feature bits of the blob table */
  readonly features: number;
}

/**
 * The metadata of an image: every file with its attributes and the places of its bytes, but not the bytes. Calls are
 * synchronous, bounded, and never read outside the image whatever is in it.
 *
 * Every call throws `LongshoreError` `IMAGE_CHECKSUM_MISMATCH` when the metadata contradicts itself, and `NOT_FOUND` for a
 * nid that is no inode.
 */
export interface ReadableFilesystem {
  readonly rootNid: number;
  /** Bytes that a chunk has at most */
  readonly chunkSize: number;
  readonly blobs: readonly ImageBlob[];
  /** As the superblock counts them */
  readonly inodeCount: number;
  stat(nid: number): FileStat;
  /** Without `.` and `..`, in byte order. @param after only names greater than this one */
  entries(directoryNid: number, after?: ByteString): IterableIterator<DirectoryEntry>;
  lookup(directoryNid: number, name: ByteString): DirectoryEntry | undefined;
  /** The parent of a directory; the root is its own. */
  parent(directoryNid: number): number;
  linkTarget(nid: number): ByteString;
  xattrs(nid: number): ReadonlyMap<ByteString, Buffer>;
  /** The chunk that holds the byte range of that number: `[number * chunkSize, …)`. Its digest is empty when unknown. */
  chunk(fileNid: number, number: number): ChunkRef;
}
