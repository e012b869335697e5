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
