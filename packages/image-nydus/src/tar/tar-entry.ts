import type { ByteString, DeviceNumber, FileTime } from "../tree/inode.ts";

/** Kinds of entries; what a tar file has besides is left out by the reader. */
export type TarEntryKind =
  | "file"
  | "directory"
  | "symlink"
  | "hardlink"
  | "character-device"
  | "block-device"
  | "fifo";

/** A run of a file's bytes: some of them, or zeros that are not stored. */
export type TarContent =
  | { readonly kind: "data"; readonly bytes: Buffer }
  | { readonly kind: "hole"; readonly size: number };

/** One entry of a tar stream. */
export interface TarEntry {
  /** As it stands in the archive, after PAX and GNU extensions; not normalised, may be hostile */
  readonly path: ByteString;
  readonly kind: TarEntryKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes with holes; 0 for all but files */
  readonly size: number;
  readonly mtime: FileTime;
  /** Target of a symlink or hard link */
  readonly linkPath: ByteString;
  readonly device: DeviceNumber;
  readonly xattrs: ReadonlyMap<ByteString, Buffer>;
  /**
   * The file's bytes in order, `size` in all. Read it before the next entry is asked for; what is not read is skipped.
   */
  readonly content: AsyncIterable<TarContent>;
}
