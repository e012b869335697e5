export type {
  ByteString,
  ChunkRef,
  DeviceInode,
  DeviceNumber,
  DirectoryInode,
  FileAttributes,
  FileInode,
  FileKind,
  FileTime,
  Inode,
  PipeInode,
  SymlinkInode,
} from "./tree/inode.ts";
export { fromByteString, toByteString } from "./tree/inode.ts";
export type {
  DirectoryEntry,
  FileStat,
  ImageBlob,
  ReadableFilesystem,
} from "./rafs/readable-filesystem.ts";
export type { BlobReader } from "./mount/blob-reader.ts";
export { localBlobReader, type LocalBlobReader } from "./mount/local-blob-reader.ts";
export { mountFuse } from "./fuse/mount-fuse.ts";
export type { FuseMount, FuseReadError, MountFuseOptions } from "./fuse/mount-fuse.ts";
export type { FilesystemSource } from "./fuse/filesystem-source.ts";
export { mountErofs, type MountErofsOptions } from "./mount/mount-erofs.ts";
export { mountOverlay, type MountOverlayOptions } from "./mount/mount-overlay.ts";
export { unmount, type UnmountOptions } from "./mount/unmount.ts";
export { isMounted } from "./mount/mounted-at.ts";
export { probeMounts } from "./mount/probe-mounts.ts";
export type { MountMethod, MountProbe, ProbeMountsOptions } from "./mount/probe-mounts.ts";
export { extractTree } from "./mount/extract-tree.ts";
export type { ExtractReport, ExtractTreeOptions } from "./mount/extract-tree.ts";
export { mountRecords, type MountRecords } from "./mount/mount-records.ts";
