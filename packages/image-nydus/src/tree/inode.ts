/** What a file is. */
export type FileKind =
  | "file"
  | "directory"
  | "symlink"
  | "character-device"
  | "block-device"
  | "fifo"
  | "socket";

/**
 * A file name, path or link target as the bytes it is, one byte per character (`latin1`). Names on Linux are bytes in no
 * particular encoding; in this form they compare and sort as bytes do, and nothing is lost. Use `toByteString` and
 * `fromByteString` at the edges.
 */
export type ByteString = string;

export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

export interface FileTime {
  /** Seconds since 1970, may be negative; whole */
  readonly seconds: number;
  /** 0–999,999,999 */
  readonly nanoseconds: number;
}

/** Attributes that every file has. */
export interface FileAttributes {
  readonly kind: FileKind;
  /** Permission, setuid, setgid and sticky bits: 0–0o7777 */
  readonly mode: number;
  /** 32 bits */
  readonly uid: number;
  readonly gid: number;
  readonly mtime: FileTime;
  /** By full name (`user.x`, `security.capability`), names as {@link ByteString} */
  readonly xattrs: ReadonlyMap<ByteString, Buffer>;
}

/** Where the bytes of one chunk of a file lie. */
export interface ChunkRef {
  /** Blob it is stored in: sha256 of the whole blob file, hex */
  readonly blobId: string;
  /** Number of the chunk in its blob, from 0 */
  readonly index: number;
  /** Offset of its uncompressed bytes in the blob's uncompressed space; a multiple of 4,096 */
  readonly offset: number;
  /** Uncompressed bytes: the chunk size, except for the last chunk of a file */
  readonly size: number;
  /** sha256 of the uncompressed, unpadded bytes: 32 bytes */
  readonly digest: Buffer;
}

/**
 * A file of a tree that is being built. Several names may lead to one inode (hard links): they hold the same object.
 */
export type Inode = FileInode | DirectoryInode | SymlinkInode | DeviceInode | PipeInode;

export interface FileInode extends FileAttributes {
  readonly kind: "file";
  /** Bytes, holes included */
  readonly size: number;
  /** In order of the file, one for each chunk size begun; none for an empty file. Holes are chunks of zeros. */
  readonly chunks: readonly ChunkRef[];
}

export interface DirectoryInode extends FileAttributes {
  readonly kind: "directory";
  readonly children: Map<ByteString, Inode>;
}

export interface SymlinkInode extends FileAttributes {
  readonly kind: "symlink";
  readonly target: ByteString;
}

export interface DeviceInode extends FileAttributes {
  readonly kind: "character-device" | "block-device";
  readonly device: DeviceNumber;
}

export interface PipeInode extends FileAttributes {
  readonly kind: "fifo" | "socket";
}

/** The bytes as a string of one character each. */
export function toByteString(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** The bytes of a byte string. */
export function fromByteString(text: ByteString): Buffer {
  return Buffer.from(text, "latin1");
}
